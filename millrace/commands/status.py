"""`millrace status`: every process, its restarts, alarms, and the addresses."""

import typer

from millrace.cli import EXIT_ALARM
from millrace.commands.output import addresses_table, faults_shown, print_json, screen, services_table
from millrace.environment.connection import running_supervisor
from millrace.environment.faults import NotRunning
from millrace.environment.layout import home_of, read_addresses
from runtime.settings import Settings


def run(*, as_json: bool) -> None:
    """Exit code 3 when nothing runs, 4 when a service keeps crashing."""
    home = home_of(Settings())
    with faults_shown(as_json=as_json):
        status, addresses = running_supervisor(home), read_addresses(home)
        if status is None or addresses is None:
            raise NotRunning(f"no environment runs in {home.root}: `millrace up` starts one")
        if as_json:
            print_json({"addresses": addresses.shown(), "supervisor": status})
        else:
            screen.print(addresses_table(addresses))
            screen.print(services_table(status))
        if status.alarms:
            raise typer.Exit(EXIT_ALARM)
