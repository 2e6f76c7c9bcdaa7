"""What `millrace recon tie|chain` do: folders of files → an answer a day, or what does not hold between the days."""

from pathlib import Path

import typer
from rich.table import Table

from millrace.cli import EXIT_FAILED
from millrace.commands.output import faults_shown, print_json, print_table, screen
from millrace.environment import EnvironmentFault
from payments.money import format_minor
from reconciliation.matching.calendars import Calendar
from reconciliation.ties.chains import chain_folder
from reconciliation.ties.days import Day
from reconciliation.ties.folders import tie_folders
from reconciliation.ties.reading import Unreadable


def run_tie(reports: Path, details: Path, *, since: str, as_json: bool) -> None:
    """Exit 1 when a file can't be read, behind the answers of all days; a broken day is an answer."""
    with faults_shown(as_json=as_json):
        try:
            days = tie_folders(reports, details, since)
        except Unreadable as fault:
            raise EnvironmentFault(str(fault)) from fault
    if as_json:
        print_json([_as_object(day) for day in days])
    else:
        _show(days)
    if any(day.reason for day in days):
        raise typer.Exit(EXIT_FAILED)


def run_chain(folder: Path, calendar: Calendar, *, as_json: bool) -> None:
    """Exit 1 for a file that can't be read; a gap is an answer."""
    with faults_shown(as_json=as_json):
        try:
            found = chain_folder(folder, calendar)
        except Unreadable as fault:
            raise EnvironmentFault(str(fault)) from fault
    if as_json:
        print_json(found._asdict())
        return
    screen.print(f"{found.statements:,} statements in {found.files:,} files, {len(found.breaks):,} breaks")
    for one in found.breaks:
        screen.print(f"{one.type} {one.keys['account']} {one.keys['date']}: {one.reason}")


def _as_object(day: Day) -> dict[str, object]:
    return {
        **day._asdict(),
        "type": day.type or None,
        "reason": day.reason or None,
        "participants": [participant._asdict() for participant in day.participants],
    }


def _show(days: list[Day]) -> None:
    table = Table("date", "status", "type", "missing debit", "missing credit", "sums matched", box=None)
    for day in days:
        matched = f"{sum(one.matched for one in day.participants)} of {len(day.participants)}"
        missing = [
            format_minor(minor, day.currency) if day.currency else ""
            for minor in (day.missing_debit_minor, day.missing_credit_minor)
        ]
        table.add_row(day.date, day.status, day.type, *missing, matched if day.participants else "")
    print_table(table)
    for day in days:
        if day.reason:
            screen.print(day.reason)
