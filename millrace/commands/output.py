"""How commands print: JSON for machines, tables for people, a fault as one line on stderr with exit code 1."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from millrace.cli import EXIT_FAILED, EXIT_NOT_RUNNING
from millrace.environment.faults import EnvironmentFault, NotRunning
from millrace.environment.layout import Addresses
from millrace.supervisor.control import SupervisorStatus

screen = Console(soft_wrap=True)
errors = Console(stderr=True, soft_wrap=True)


def print_json(value: Any) -> None:
    """One object, indented, on stdout."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    sys.stdout.flush()


def print_failure(reason: object) -> None:
    """Why a command failed, in one line on stderr. The text is foreign: its brackets are no markup."""
    errors.print(f"[bold red]millrace:[/] {escape(str(reason))}", highlight=False)


def print_alarm(text: str) -> None:
    """One line on stdout; the text is shown as it is."""
    screen.print(f"[bold red]ALARM[/] {escape(text)}")


def print_difference(invariant: str, place: str, expected: str, found: str) -> None:
    """The first place where what is and what should be part; the values come from records and rows."""
    differs = f"[bold red]{invariant} differs[/] at {escape(place)}"
    screen.print(f"{differs}\n  expected {escape(expected)}\n  found    {escape(found)}")


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


def addresses_table(addresses: Addresses) -> Table:
    """What to connect to."""
    table = Table(Column(), Column(overflow="fold"), box=None, show_header=False)
    table.add_row("Kafka", escape(addresses.kafka_bootstrap))
    table.add_row("Postgres", escape(addresses.shown().database_url))
    if addresses.api_url:
        table.add_row("API", f"{addresses.api_url}/docs")
    return table


def services_table(status: SupervisorStatus) -> Table:
    """Every process and how it fares."""
    table = Table("service", "state", "pid", "up", "restarts", "", box=None)
    for service in status.services:
        state = (
            f"[green]{service.state}[/]" if service.state in {"ready", "finished"} else f"[yellow]{service.state}[/]"
        )
        see = f"{service.exits_recently} exits in 30 s, see {escape(service.log)}"
        alarm = f"[bold red]ALARM[/] {see}" if service.alarm else ""
        uptime = f"{service.uptime_ms / 1000:.0f} s" if service.pid else ""
        table.add_row(service.name, state, str(service.pid or ""), uptime, str(service.restarts), alarm)
    return table


class Shown:
    """Progress for people: a line per step, a bar per download."""

    def step(self, text: str) -> None:
        """One line."""
        errors.print(f"[dim]{escape(text)} …[/]")

    @contextmanager
    def bytes(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar with size and speed."""
        columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=errors) as progress:
            task = progress.add_task(title, total=total)
            yield lambda count: progress.advance(task, count)
