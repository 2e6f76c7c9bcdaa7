"""What `millrace recon import|files` do: files into the tables, and the list of what was brought."""

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import typer
from psycopg import Connection
from rich.table import Table
from rich.text import Text

from ingest_api.reconciliation.desk import MIGRATIONS
from millrace.cli import EXIT_FAILED
from millrace.commands.output import Shown, faults_shown, print_found, print_json, screen
from millrace.commands.paths import files_of
from millrace.environment import EnvironmentFault, connected
from payments.identifiers import format_id
from reconciliation.statements.providers.profile import load_profile
from reconciliation.statements.refusals import Refused
from reconciliation.store.files import page_of_files
from reconciliation.store.importing import FILE, Brought, FileStatus, Imported, import_file
from runtime import migrate
from runtime.postgres import connect
from runtime.settings import Settings

_BAR_FROM_BYTES = 8 << 20
"""Smaller files are stored before a bar would be seen."""

_PASSES = 4
"""Hash, look through, parse, keep."""


@contextmanager
def books() -> Iterator[Connection]:
    """A connection to the tables of reconciliation, which are made here. Raises EnvironmentFault."""
    settings = connected(Settings())
    try:
        for package in MIGRATIONS:
            migrate.up(settings.database_url, package)
        with connect(settings.database_url, "millrace recon") as connection:
            connection.autocommit = True
            yield connection
    except psycopg.errors.UndefinedTable as error:
        raise EnvironmentFault("nothing has run on this database yet: `millrace up` makes its tables") from error
    except (migrate.MigrationRefused, TimeoutError, psycopg.Error) as error:
        raise EnvironmentFault(" ".join(str(error).split())) from error


def person(named: str) -> str:
    """Who is at the keyboard, unless told otherwise."""
    return named or getpass.getuser()


def run_import(paths: Sequence[Path], *, source: str, profile: Path | None, by: str, as_json: bool) -> None:
    """Exits 1 where a file was quarantined or can't be read; the same file again is an answer."""
    try:
        known = load_profile(profile) if profile is not None else None
    except Refused as refusal:
        raise typer.BadParameter(str(refusal), param_hint="--profile") from None
    brought = Brought(source, person(by), known, profile.name if profile is not None else "")
    found = []
    with faults_shown(as_json=as_json), books() as connection:
        for path in files_of(paths):
            found.append(_one(connection, path, brought))
            if not as_json:
                _print(found[-1])
    if as_json:
        print_json([_object(one) for one in found])
    if any(one.status is FileStatus.QUARANTINED for one in found):
        raise typer.Exit(EXIT_FAILED)


def _one(connection: Connection, path: Path, brought: Brought) -> Imported:
    try:
        size = path.stat().st_size
        if size < _BAR_FROM_BYTES:
            return import_file(connection, path, brought)
        with Shown().bytes(path.name, _PASSES * size) as advance:
            return import_file(connection, path, brought, advance)
    except (OSError, ValueError) as error:
        raise EnvironmentFault(f"{path}: {error}") from error


def run_files(*, limit: int, source: str, as_json: bool) -> None:
    """The newest first."""
    with faults_shown(as_json=as_json), books() as connection:
        found = page_of_files(connection, limit, source=source)
    if as_json:
        print_json([one._asdict() | {"status": FileStatus(one.status).name.lower()} for one in found])
        return
    table = Table("file", "source", "format", "status", "lines", "repeats", "brought", "by", box=None)
    for one in found:
        status = FileStatus(one.status).name.lower()
        counts = (f"{one.lines:,}", f"{one.repeats:,}")
        at = f"{one.brought_at:%Y-%m-%d %H:%M}"
        table.add_row(Text(one.name), one.source, one.format, status, *counts, at, Text(one.brought_by))
    print_found(table)


def _object(one: Imported) -> dict[str, object]:
    return {
        "id": format_id(FILE, one.file_id.bytes),
        "file": one.name,
        "sha256": one.sha256.hex(),
        "format": one.format,
        "status": one.status.name.lower(),
        "reason": one.reason or None,
        "first_import": format_id(FILE, one.first_file.bytes) if one.first_file else None,
        "lines": one.lines,
        "repeats": one.repeats,
    }


def _print(one: Imported) -> None:
    style = "green" if one.status is FileStatus.IMPORTED else "bold red"
    counts = f"  {one.lines:,} lines, {one.repeats:,} told before" if one.status is FileStatus.IMPORTED else ""
    screen.print(Text.assemble((one.status.name.lower(), style), f"  {one.format or '?'}  {one.name}{counts}"))
    if one.reason:
        first = f" ({format_id(FILE, one.first_file.bytes)})" if one.first_file else ""
        screen.print(Text(f"    {one.reason}{first}"))
