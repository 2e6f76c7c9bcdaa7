"""`millrace audit log`: the latest of who did what, or whether the log of it is what was written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import typer
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from rich.table import Table

from ingest_api.audit_log.heads import HeadForged, Heads
from ingest_api.audit_log.reads import Filters, page_of, page_query
from ingest_api.audit_log.verifying import verify
from millrace.cli import EXIT_FAILED
from millrace.commands.output import faults_shown, print_difference, print_json, screen
from millrace.environment import connected
from millrace.environment.faults import EnvironmentFault
from runtime.settings import Settings


def run_log(*, limit: int, as_json: bool) -> None:
    """The latest entries in a table."""
    with faults_shown(as_json=as_json), _desk(connected(Settings())) as connection:
        query, parameters = page_query(Filters(), None, limit)
        page = page_of(connection.execute(query.encode(), parameters).fetchall(), limit)
    if as_json:
        print_json(page.items)
        return
    table = Table("at", "who", "what", "to", "request", box=None)
    for entry in page.items:
        table.add_row(entry.at, entry.actor or "", entry.action, entry.object or "", entry.request_id)
    screen.print(table if page.items else "Nothing.")


def run_verify(*, head: Path | None, as_json: bool) -> None:
    """Every hash again. Exit code 1 where something differs."""
    settings = connected(Settings())
    with faults_shown(as_json=as_json), _desk(settings) as connection:
        heads = Heads(settings.home)
        try:
            kept = [heads.verified(head.read_text())] if head is not None else []
        except HeadForged as forged:
            raise EnvironmentFault(f"{head}: {forged}") from forged
        found = verify(connection, heads, kept)
    if as_json:
        print_json(found)
    else:
        screen.print(f"{found.verified:,} entries verified, head {found.head_hash}; {found.unsealed} to be sealed")
        for difference in found.differences:
            place = f"position {difference.position}" if difference.position is not None else "the log"
            print_difference("audit log", place, "what was written", f"{difference.what} {difference.entry or ''}")
    if not found.ok:
        raise typer.Exit(EXIT_FAILED)


@contextmanager
def _desk(settings: Settings) -> Iterator[Connection[DictRow]]:
    """A connection, and its faults as sentences. Raises EnvironmentFault."""
    try:
        with psycopg.connect(settings.database_url, row_factory=dict_row, connect_timeout=5) as connection:
            yield connection
    except psycopg.errors.UndefinedTable as error:
        raise EnvironmentFault("no API process has run here yet: `millrace up` or `millrace api` does") from error
    except psycopg.Error as error:
        raise EnvironmentFault(" ".join(str(error).split())) from error
