"""`millrace status`: every process, its restarts, alarms, and the addresses."""

import typer

from millrace.cli import EXIT_ALARM
from millrace.commands.output import addresses_shown, faults_shown, print_alarm, print_json, screen, services_table
from millrace.environment.connection import running_supervisor
from millrace.environment.faults import NotRunning
from millrace.environment.layout import home_of, read_addresses
from millrace.watch import read_alarms
from runtime.settings import Settings


def run(*, as_json: bool) -> None:
    """Exit code 3 when nothing runs, 4 when a service keeps crashing or the watch raises an alarm."""
    home = home_of(Settings())
    with faults_shown(as_json=as_json):
        status, addresses = running_supervisor(home), read_addresses(home)
        if status is None or addresses is None:
            raise NotRunning(f"no environment runs in {home.root}: `millrace up` starts one")
        if as_json:
            print_json({"addresses": addresses.shown(), "supervisor": status, "alarms": read_alarms(home)})
        else:
            screen.print(addresses_shown(addresses))
            screen.print(services_table(status))
            for alarm in read_alarms(home):
                print_alarm(alarm)
        if status.alarms or read_alarms(home):
            raise typer.Exit(EXIT_ALARM)
