"""`millrace schedule list|show|run`: scheduled transfers, for people and for machines."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
import typer
from confluent_kafka import KafkaException
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from rich.table import Table
from rich.text import Text

from ingest_api.http.resources import rfc3339_of_us
from ingest_api.schedules.issuing import DUE
from ingest_api.schedules.register import BY_ID, OCCURRENCES, SELECT, stored_of
from ingest_api.schedules.rows import Status, microseconds, transfer_of
from ingest_api.schedules.running import Figures, run_pass
from ingest_api.schedules.sending import CommandLog
from ingest_api.schedules.service import PASS_S, database_now, line_of
from ingest_api.schedules.shown import (
    DueTime,
    OccurrenceResource,
    ScheduledTransferResource,
    shown,
    shown_occurrences,
    shown_preview,
)
from millrace.commands.output import faults_shown, print_found, print_json, print_table, screen
from millrace.environment import EnvironmentFault, connected
from payments.errors import Unavailable
from payments.identifiers import SCHEDULE, format_id, parse_id
from payments.terms.occurrences import due
from runtime.exactly_once.failpoints import Failpoints
from runtime.postgres import connect
from runtime.settings import Settings

OCCURRENCES_SHOWN: Final = 20
PREVIEWED: Final = 5
_LIST: Final = f"""{SELECT}
WHERE %(status)s = 'all' OR status = %(status)s ORDER BY created_at DESC, schedule_id DESC LIMIT %(limit)s"""


class Shown(msgspec.Struct):
    """One schedule with what became of its latest occurrences, and the next ones."""

    schedule: ScheduledTransferResource
    occurrences: list[OccurrenceResource]
    upcoming: list[DueTime]


def run_list(*, status: str, limit: int, as_json: bool) -> None:
    """Schedules in a table."""
    if status not in {*Status, "all"}:
        raise typer.BadParameter(f"one of {', '.join(Status)}, all", param_hint="--status")
    with faults_shown(as_json=as_json), _desk(connected(Settings())) as connection:
        rows = _rows(connection, _LIST, {"status": status, "limit": limit})
    found = [shown(stored_of(row)) for row in rows]
    if as_json:
        print_json(found)
        return
    table = Table("schedule", "status", "amount", "rule", "zone", "next", box=None)
    for one in found:
        rule = Text(one.expression or f"once {one.starts}")
        table.add_row(
            one.id, one.end_reason or one.status, f"{one.amount} {one.currency}", rule, one.zone, one.next_due_at or ""
        )
    print_found(table)


def run_show(schedule_id: str, *, as_json: bool) -> None:
    """One schedule in full."""
    id_ = parse_id(SCHEDULE, schedule_id)
    with faults_shown(as_json=as_json), _desk(connected(Settings())) as connection:
        found = _rows(connection, BY_ID, (UUID(bytes=id_),)) if id_ is not None else []
        if id_ is None or not found:
            raise EnvironmentFault(f"no schedule is called {schedule_id}: `millrace schedule list` shows them")
        place = {"schedule": UUID(bytes=id_), "at": None, "id": None, "limit": OCCURRENCES_SHOWN}
        tried = shown_occurrences(_rows(connection, OCCURRENCES, place), OCCURRENCES_SHOWN)
    stored = stored_of(found[0])
    full = Shown(shown(stored), tried.items, shown_preview(stored, PREVIEWED).items)
    if as_json:
        print_json(full)
    else:
        _print(full)


def _print(full: Shown) -> None:
    fields = Table("", "", box=None, show_header=False)
    for name, value in msgspec.structs.asdict(full.schedule).items():
        fields.add_row(name, Text(str(value)))
    tries = Table("at", "try", "payment", "status", "reason", box=None)
    for one in full.occurrences:
        tries.add_row(one.at, str(one.attempt), one.payment, one.status, one.reason or "")
    for each in full.upcoming:
        tries.add_row(each.at, "", "", "due", each.due_at)
    screen.print(fields)
    print_table(tries)


def run_once(*, dry_run: bool, as_json: bool) -> None:
    """One pass, or what it would issue."""
    settings = connected(Settings())
    limit = int(settings.scheduler_payments_per_s * PASS_S)
    with faults_shown(as_json=as_json), _desk(settings) as connection:
        if dry_run:
            _print_due(_due(connection, limit), as_json=as_json)
            return
        log, figures = CommandLog(settings), Figures()
        log.require_shards()
        with connect(settings.database_url, "millrace schedule") as own:
            own.autocommit = True
            run_pass(own, log, database_now(own), limit, Failpoints(""), figures)
    if as_json:
        print_json(figures)
    else:
        screen.print(line_of(figures) or "Nothing was due.")


def _due(connection: Connection[DictRow], limit: int) -> dict[str, list[DueTime]]:
    """Schedule → what it would issue now."""
    now = connection.execute("SELECT clock_timestamp() AS now").fetchall()[0]["now"]
    found = {}
    for row in _rows(connection, DUE, (now, limit)):
        transfer = transfer_of(row)
        issued, _ = due(transfer.schedule, transfer.progress, microseconds(now))
        times = [DueTime(each.wall.isoformat(), rfc3339_of_us(each.due_at_us)) for each in issued]
        found[format_id(SCHEDULE, transfer.schedule.schedule_id)] = times
    return found


def _print_due(found: dict[str, list[DueTime]], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for name, times in found.items():
        screen.print(Text(f"{name}: {', '.join(each.at for each in times) or 'nothing: what it missed is left out'}"))
    if not found:
        screen.print("Nothing is due.")


def _rows(connection: Connection[DictRow], query: str, parameters: Any) -> list[DictRow]:
    return connection.execute(query.encode(), parameters).fetchall()


@contextmanager
def _desk(settings: Settings) -> Iterator[Connection[DictRow]]:
    """A connection, and its faults as sentences. Raises EnvironmentFault."""
    try:
        with psycopg.connect(settings.database_url, row_factory=dict_row, connect_timeout=5) as connection:
            connection.read_only = True
            yield connection
    except psycopg.errors.UndefinedTable as error:
        raise EnvironmentFault("no scheduler has run here yet: `millrace up` or `millrace scheduler` does") from error
    except (psycopg.Error, Unavailable, TimeoutError, KafkaException) as error:
        raise EnvironmentFault(" ".join(str(error).split())) from error
