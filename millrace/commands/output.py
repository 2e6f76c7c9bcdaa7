"""How commands print: JSON for machines, tables for people, a fault as one line on stderr with exit code 1."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from millrace.cli import EXIT_FAILED, EXIT_NOT_RUNNING
from millrace.environment.faults import EnvironmentFault, NotRunning
from millrace.environment.layout import Addresses
from millrace.supervisor.control import SupervisorStatus

screen = Console(soft_wrap=True)
errors = Console(stderr=True, soft_wrap=True)
_ALARM = ("ALARM", "bold red")
TABLE_WIDTH_MAX = 1_000


def print_json(value: Any) -> None:
    """One object, indented, on stdout."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    sys.stdout.flush()


def print_failure(reason: object) -> None:
    """Why a command failed, in one line on stderr. `Text` shows foreign words letter by letter: `escape` loses
    backslashes, and plain strings are searched for markup and emoji codes.
    """
    errors.print(Text.assemble(("millrace:", "bold red"), f" {reason}"))


def print_alarm(text: str) -> None:
    """One line on stdout; the text is shown as it is."""
    screen.print(Text.assemble(_ALARM, f" {text}"))


def print_difference(invariant: str, place: str, expected: str, found: str) -> None:
    """The first place where what is and what should be part; the values come from records and rows."""
    differs = (f"{invariant} differs", "bold red")
    screen.print(Text.assemble(differs, f" at {place}\n  expected {expected}\n  found    {found}"))


@contextmanager
def faults_shown(*, as_json: bool) -> Iterator[None]:
    """Turn an environment's fault into its message and an exit code."""
    try:
        yield
    except EnvironmentFault as fault:
        if as_json:
            print_json({"error": str(fault)})
        else:
            print_failure(fault)
        raise typer.Exit(EXIT_NOT_RUNNING if isinstance(fault, NotRunning) else EXIT_FAILED) from fault


def addresses_shown(addresses: Addresses) -> Text:
    """What to connect to, a line each: none is broken, so that it can be copied."""
    rows = [("Kafka", addresses.kafka_bootstrap), ("Postgres", addresses.shown().database_url)]
    if addresses.api_url:
        rows.append(("API", f"{addresses.api_url}/v1; try it out at {addresses.api_url}/docs"))
        if addresses.gateway_url:
            rows.append(("Gateway", f"{addresses.gateway_url}/v1; its authority: gateway/authority.pem in the home"))
        rows.append(("Console", f"{addresses.gateway_url or addresses.api_url}/console"))
        rows.append(("Token", "millrace token --user NAME --scope payments:write --scope accounts:write"))
    return Text("\n".join(f" {name:<8}  {value}" for name, value in rows))


def services_table(status: SupervisorStatus) -> Table:
    """Every process and how it fares."""
    table = Table("service", "state", "pid", "up", "restarts", "", box=None)
    for service in status.services:
        state = (
            f"[green]{service.state}[/]" if service.state in {"ready", "finished"} else f"[yellow]{service.state}[/]"
        )
        see = f" {service.exits_recently} exits in 30 s, see {service.log}"
        alarm = Text.assemble(_ALARM, see) if service.alarm else ""
        uptime = f"{service.uptime_ms / 1000:.0f} s" if service.pid else ""
        table.add_row(service.name, state, str(service.pid or ""), uptime, str(service.restarts), alarm)
    return table


def print_table(table: Table) -> None:
    """As wide as it is, also on a narrow screen and in a pipe: an id that is cut short can't be copied."""
    widest = Measurement.get(screen, screen.options.update(max_width=TABLE_WIDTH_MAX), table).maximum
    Console(width=max(screen.width, widest), soft_wrap=True).print(table)


def print_found(table: Table) -> None:
    """The same of what was looked for; a word where there is none of it."""
    print_table(table) if table.row_count else screen.print("Nothing.")


class Shown:
    """Progress for people: a line per step, a bar per download."""

    def step(self, text: str) -> None:
        """One line."""
        errors.print(Text(f"{text} …", style="dim"))

    @contextmanager
    def bytes(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar with size and speed."""
        columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=errors) as progress:
            task = progress.add_task(title, total=total)
            yield lambda count: progress.advance(task, count)
