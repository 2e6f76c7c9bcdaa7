"""`millrace audit log`: the latest of who did what, or whether the log of it is what was written; here or over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec
import psycopg
import typer
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from rich.table import Table

from ingest_api.audit_log.heads import HeadForged, Heads
from ingest_api.audit_log.reads import Filters, page_of, page_query
from ingest_api.audit_log.routes import PAGE_MAX
from ingest_api.audit_log.verifying import verify
from millrace.cli import EXIT_FAILED
from millrace.client.clients import Client
from millrace.client.models.operations import AuditEntry, Verification
from millrace.commands.output import faults_shown, print_difference, print_found, print_json, screen
from millrace.environment import connected
from millrace.environment.faults import EnvironmentFault
from millrace.remote.options import Where
from millrace.remote.session import session
from millrace.remote.shown import told
from runtime.settings import Settings


def run_log(where: Where, *, limit: int, as_json: bool) -> None:
    """The latest entries in a table."""
    if where.is_remote:
        with session(*where, as_json=as_json) as client:
            entries = list(islice(client.audit.list(limit=min(limit, PAGE_MAX)), limit))
    else:
        entries = _latest_here(limit, as_json=as_json)
    if as_json:
        print_json([told(entry) for entry in entries])
        return
    table = Table("at", "who", "what", "to", "request", box=None)
    for entry in entries:
        table.add_row(entry.at, entry.actor or "", entry.action, entry.object or "", entry.request_id)
    print_found(table)


def _latest_here(limit: int, *, as_json: bool) -> list[AuditEntry]:
    with faults_shown(as_json=as_json), _desk(connected(Settings())) as connection:
        query, parameters = page_query(Filters(), None, limit)
        page = page_of(connection.execute(query.encode(), parameters).fetchall(), limit)
    return msgspec.convert(msgspec.to_builtins(page.items), list[AuditEntry])


def run_verify(where: Where, *, head: Path | None, as_json: bool) -> None:
    """Every hash again. Exit code 1 where something differs."""
    if where.is_remote:
        if head is not None:
            raise typer.BadParameter("needs the key of the installation", param_hint="--head")
        with session(*where, as_json=as_json) as client:
            found = _verified_there(client)
    else:
        found = _verified_here(head, as_json=as_json)
    if as_json:
        print_json(found)
    else:
        screen.print(f"{found.verified:,} entries verified, head {found.head_hash}; {found.unsealed} to be sealed")
        for difference in found.differences:
            place = f"position {difference.position}" if difference.position is not None else "the log"
            print_difference("audit log", place, "what was written", f"{difference.what} {difference.entry or ''}")
    if not found.ok:
        raise typer.Exit(EXIT_FAILED)


def _verified_here(head: Path | None, *, as_json: bool) -> Verification:
    settings = connected(Settings())
    with faults_shown(as_json=as_json), _desk(settings) as connection:
        heads = Heads(settings.home)
        try:
            kept = [heads.verified(head.read_text())] if head is not None else []
        except HeadForged as forged:
            raise EnvironmentFault(f"{head}: {forged}") from forged
        return msgspec.convert(msgspec.to_builtins(verify(connection, heads, kept)), Verification)


def _verified_there(client: Client) -> Verification:
    """Stretch by stretch, up to the end or the first difference."""
    part = client.audit.verify()
    verified = part.result.verified
    while part.result.ok and part.next_after is not None:
        part = client.audit.verify(after=part.next_after)
        verified += part.result.verified
    return msgspec.structs.replace(part.result, verified=verified)


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
