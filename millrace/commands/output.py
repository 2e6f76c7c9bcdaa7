"""How commands print: JSON for machines, tables for people, a fault as one line on stderr with exit code 1."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import typer
from rich.console import Console
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


@contextmanager
def faults_shown(*, as_json: bool) -> Iterator[None]:
    """Turn an environment's fault into its message and an exit code."""
    try:
        yield
    except EnvironmentFault as fault:
        if as_json:
            print_json({"error": str(fault)})
        else:
            errors.print(f"[bold red]millrace:[/] {fault}", highlight=False)
        raise typer.Exit(EXIT_NOT_RUNNING if isinstance(fault, NotRunning) else EXIT_FAILED) from fault


def addresses_table(addresses: Addresses) -> Table:
    """What to connect to."""
    table = Table(Column(), Column(overflow="fold"), box=None, show_header=False)
    table.add_row("Kafka", addresses.kafka_bootstrap)
    table.add_row("Postgres", addresses.shown().database_url)
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
        alarm = f"[bold red]ALARM[/] {service.exits_recently} exits in 30 s, see {service.log}" if service.alarm else ""
        uptime = f"{service.uptime_ms / 1000:.0f} s" if service.pid else ""
        table.add_row(service.name, state, str(service.pid or ""), uptime, str(service.restarts), alarm)
    return table


class Shown:
    """Progress for people: a line per step, a bar per download."""

    def step(self, text: str) -> None:
        """One line."""
        errors.print(f"[dim]{text} …[/]")

    @contextmanager
    def bytes(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar with size and speed."""
        columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=errors) as progress:
            task = progress.add_task(title, total=total)
            yield lambda count: progress.advance(task, count)
