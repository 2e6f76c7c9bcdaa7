"""`millrace archive run | list | verify` for people and for machines. Exit code 1 where something differs."""

from pathlib import Path
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from millrace.archive.listing import ArchivedPartition, listed
from millrace.archive.verify import ArchiveReport, ToCompare, verify_archive
from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.cli import EXIT_FAILED
from millrace.commands.output import faults_shown, print_failure, print_json, print_table, screen
from millrace.environment import connected
from millrace.environment.connection import running_supervisor
from millrace.environment.faults import NotRunning
from millrace.environment.layout import home_of
from millrace.replay.point import shown_time
from runtime.archive.manifest import ArchiveDamaged
from runtime.kafka_client import AccessRefused, Brokers
from runtime.log_lines import log_to_stderr
from runtime.settings import Settings


def archive_settings(archive: Path | None) -> Settings:
    """The settings with this folder as their archive, where one is given. Exit code 2 where there is none."""
    settings = Settings()
    folder = archive or settings.archive_dir
    if folder is None:
        raise typer.BadParameter("name a folder, or set MILLRACE_ARCHIVE_DIR", param_hint="--archive")
    return settings.model_copy(update={"archive_dir": folder})


def run(*, archive: Path | None, once: bool, skip_deleted: bool) -> None:
    """The archiver in the foreground, or one pass of it."""
    log_to_stderr()
    from sinks.archive.service import run as run_archiver

    with faults_shown(as_json=False):
        settings = _reached(archive_settings(archive))
    raise typer.Exit(run_archiver(settings, once=once, skip_deleted=skip_deleted))


def run_list(*, archive: Path | None, as_json: bool) -> None:
    """What is archived, by the manifests alone."""
    folder = _existing(archive_settings(archive))
    try:
        found = listed(folder)
    except (ArchiveDamaged, OSError) as error:
        _fail(error, as_json=as_json)
    if as_json:
        print_json([one._asdict() for one in found])
    else:
        _show_list(found)


def run_verify(*, archive: Path | None, offline: bool, as_json: bool) -> None:
    """Read everything, also beside the brokers."""
    settings = archive_settings(archive)
    folder = _existing(settings)
    try:
        with faults_shown(as_json=as_json):
            to_compare = None if offline else _to_compare(_reached(settings))
        report = verify_archive(folder, to_compare)
    except (AuditImpossible, AccessRefused, OSError) as error:
        _fail(error, as_json=as_json)
    if as_json:
        print_json(report.to_json())
    else:
        _show_report(report)
    if not report.ok:
        raise typer.Exit(EXIT_FAILED)


def _to_compare(settings: Settings) -> ToCompare:
    return ToCompare(Brokers.of(settings), settings.shards)


def _reached(settings: Settings) -> Settings:
    """Raises NotRunning where no brokers are named and none run here."""
    home = home_of(settings)
    if "kafka_bootstrap" not in settings.model_fields_set and running_supervisor(home) is None:
        raise NotRunning(
            f"no environment runs in {home.root}: `millrace up` starts one; name your brokers with KAFKA_BOOTSTRAP; or"
            " `millrace archive verify --offline` reads the files alone"
        )
    return connected(settings)


def _existing(settings: Settings) -> Path:
    folder = settings.archive_dir
    if folder is None or not folder.is_dir():
        raise typer.BadParameter(f"there is no folder {folder}", param_hint="--archive")
    return folder


def _fail(error: Exception, *, as_json: bool) -> Any:
    if as_json:
        print_json({"ok": False, "error": str(error)})
    else:
        print_failure(error)
    raise typer.Exit(EXIT_FAILED) from error


def _show_list(found: list[ArchivedPartition]) -> None:
    table = Table("partition", "offsets", "segments", "records", "bytes", "first record", "last record", box=None)
    for one in found:
        table.add_row(
            f"{one.topic}[{one.partition}]",
            f"{one.first_offset}-{one.next_offset}",
            f"{one.segments:,}",
            f"{one.records:,}",
            f"{one.size_bytes:,}",
            _shown(one.first_timestamp_ms),
            _shown(one.last_timestamp_ms),
        )
    print_table(table)


def _shown(unix_ms: int | None) -> str:
    return "" if unix_ms is None else shown_time(unix_ms)


def _show_report(report: ArchiveReport) -> None:
    beside = (
        f"{report.compared_records:,} of them beside the brokers" if report.compared_with_brokers else "files alone"
    )
    screen.print(
        f"{report.records:,} records in {report.segments:,} segments of {report.partitions:,} partitions,"
        f" {report.size_bytes:,} bytes; {beside}; {report.wall_s:.1f} s"
    )
    for key in report.without_link:
        screen.print(Text.assemble(("no link yet:", "yellow"), f" {key}"))
    for place, expected, found in report.differences:
        screen.print(Text.assemble(("differs", "bold red"), f" at {place}\n  expected {expected}\n  found    {found}"))
    if report.ok:
        screen.print(Text("every hash, link and record is right", style="green"))
