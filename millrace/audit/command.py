"""`millrace audit verify`: the audit for people and for machines. Exit code 1 names the first difference."""

from pathlib import Path

import psycopg
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.audit.report import PROMISES, AuditReport
from millrace.audit.verify import verify
from millrace.cli import EXIT_FAILED
from millrace.commands.output import errors, faults_shown, print_difference, print_failure, print_json, screen
from millrace.environment import connected
from millrace.environment.connection import running_supervisor
from millrace.environment.faults import NotRunning
from millrace.environment.layout import home_of
from runtime.settings import Settings

_COLOURS = {"proved": "green", "failed": "bold red", "not proved": "yellow"}


def run(*, archive: Path | None = None, as_json: bool) -> None:
    """Prove the books from the log and compare Postgres with them. Exit code 1 where something differs."""
    with faults_shown(as_json=as_json):
        settings = audited_settings(archive)
    try:
        report = _verified(settings)
    except (AuditImpossible, TimeoutError, psycopg.Error) as error:
        if as_json:
            print_json({"ok": False, "error": str(error)})
        else:
            print_failure(error)
        raise typer.Exit(EXIT_FAILED) from error
    if as_json:
        print_json(report.to_json())
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(EXIT_FAILED)


def audited_settings(archive: Path | None = None) -> Settings:
    """The servers to audit, with this archive where one is given. Raises NotRunning where none are named and none run
    here, instead of knocking for 30 s.
    """
    settings = Settings() if archive is None else Settings(archive_dir=archive)
    home = home_of(settings)
    if {"kafka_bootstrap", "database_url"} - settings.model_fields_set and running_supervisor(home) is None:
        raise NotRunning(
            f"no environment runs in {home.root}: `millrace up` starts one; or name your servers with KAFKA_BOOTSTRAP"
            " and DATABASE_URL"
        )
    return connected(settings)


def _verified(settings: Settings) -> AuditReport:
    columns = TextColumn("reading the log twice"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("audit", total=None)
        return verify(settings, progress=lambda done, total: bar.update(task, completed=done, total=total))


def _show(report: AuditReport) -> None:
    screen.print(
        f"{report.payments:,} payments: {report.posted:,} posted, {report.rejected:,} rejected,"
        f" {report.returned:,} returned, {report.in_flight:,} in flight; {report.deposits:,} deposits;"
        f" {report.replayed:,} repeats, {report.quarantined:,} quarantined"
    )
    table = Table(box=None, show_header=False)
    for invariant, proof in report.proofs.items():
        table.add_row(invariant.value, f"[{_COLOURS[proof.verdict]}]{proof.verdict}[/]", PROMISES[invariant])
        for line in proof.checked:
            table.add_row("", "", Text(line, style="dim"))
        for line in proof.not_proved:
            table.add_row("", "", Text.assemble(("not proved:", "yellow"), f" {line}"))
    screen.print(table)
    screen.print(
        f"postings sum {report.postings_sum_minor}, drift {report.drift_minor},"
        f" accounts below their limit {report.negative_accounts}; {report.ledger_entries:,} entries in"
        f" {report.ledger_records:,} ledger records, {report.wall_s:.1f} s"
    )
    for difference in report.differences:
        print_difference(*difference)
