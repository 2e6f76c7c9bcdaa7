"""Cases: what lies in quarantine, and what became of it. Every change of a state is a compare-and-set of one row.

Reads quarantine_cases; writes quarantine_resolutions, and nothing else. Guarantees: a case is resolved once, by a named
person at a known time; no row is ever deleted.

open ─▶ redriving ─▶ redriven      claimed, then produced and marked: redrive.py
  └───▶ discarded                  only from open: a redrive that began may have moved money, and is finished instead
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import Connection
from psycopg.rows import namedtuple_row

from ingest_api.reads.database import DatabaseUnavailable
from runtime.postgres import open_session
from runtime.settings import Settings
from schemas.origin import Origin

LIST_MAX: Final = 500
"""Cases of one page: 500 × about 400 bytes of JSON."""


class CaseStatus(StrEnum):
    """The position in the list is the number in the table: append only."""

    OPEN = "open"
    REDRIVING = "redriving"
    """Claimed by a redrive that has not ended: run it again."""
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


STATUSES: Final = tuple(CaseStatus)
UNRESOLVED: Final = (CaseStatus.OPEN, CaseStatus.REDRIVING)


class Resolution(NamedTuple):
    """Who resolved a case, when, why, and where its command went."""

    resolved_by: str
    because: str | None
    claimed_at: datetime
    resolved_at: datetime | None
    position: tuple[int, int] | None
    """Partition and offset of the redriven command in payments.commands."""


class Case(NamedTuple):
    """One record (or item of a packed record) that was set aside. A list leaves `value` out."""

    origin: Origin
    reason: str
    detail: str
    key: bytes | None
    value: bytes
    value_bytes: int
    received_at: datetime
    status: CaseStatus
    resolution: Resolution | None


_ORIGIN: Final = "(origin_topic, origin_partition, origin_offset, origin_item)"
_SELECT: Final = (
    "SELECT origin_topic, origin_partition, origin_offset, origin_item, reason, detail, key,"
    " octet_length(value) AS value_bytes, received_at, status, resolved_by, because, claimed_at, resolved_at,"
    " command_partition, command_offset"
)
_ONE: Final = f"{_SELECT}, value FROM quarantine_cases WHERE {_ORIGIN} = (%s, %s, %s, %s)"
_PAGE: Final = f"""
{_SELECT}, ''::bytea AS value FROM quarantine_cases
WHERE (%(statuses)s::smallint[] IS NULL OR status = ANY(%(statuses)s))
AND (%(reason)s::text IS NULL OR reason = %(reason)s)
AND (%(topic)s::text IS NULL OR (received_at, origin_topic, origin_partition, origin_offset, origin_item) < (
    SELECT received_at, origin_topic, origin_partition, origin_offset, origin_item FROM quarantine
    WHERE {_ORIGIN} = (%(topic)s, %(partition)s, %(offset)s, %(item)s)))
ORDER BY received_at DESC, origin_topic DESC, origin_partition DESC, origin_offset DESC, origin_item DESC
LIMIT %(limit)s"""
_BEGIN: Final = (
    "INSERT INTO quarantine_resolutions (origin_topic, origin_partition, origin_offset, origin_item, status,"
    " resolved_by, because, resolved_at) VALUES (%s, %s, %s, %s, %s, %s, %s, CASE WHEN %s THEN now() END)"
    " ON CONFLICT DO NOTHING"
)
_FINISH: Final = (
    "UPDATE quarantine_resolutions SET status = %s, resolved_at = now(), command_partition = %s, command_offset = %s"
    f" WHERE {_ORIGIN} = (%s, %s, %s, %s) AND status = %s"
)
_COUNT: Final = "SELECT count(*) FROM quarantine_cases WHERE status = ANY(%s)"


def open_desk(settings: Settings) -> Connection:
    """A connection on which every statement is a transaction of its own. Raises DatabaseUnavailable."""
    try:
        connection = open_session(settings.database_url, "millrace quarantine")
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(" ".join(str(error).split())) from error
    connection.autocommit = True
    return connection


def number_of(status: CaseStatus) -> int:
    """The number that stands in the table."""
    return STATUSES.index(status)


def find_case(connection: Connection, origin: Origin) -> Case | None:
    """The case with its bytes, or None."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        row = cursor.execute(_ONE, origin).fetchone()
    return _case(row) if row is not None else None


def list_cases(
    connection: Connection,
    statuses: Sequence[CaseStatus] = (),
    reason: str | None = None,
    after: Origin | None = None,
    limit: int = LIST_MAX,
) -> list[Case]:
    """One page, newest first, behind the case `after`. No statuses: all."""
    position = after._asdict() if after is not None else dict.fromkeys(Origin._fields)
    numbers = [number_of(status) for status in statuses] or None
    parameters = {"statuses": numbers, "reason": reason, "limit": limit, **position}
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        return [_case(row) for row in cursor.execute(_PAGE, parameters)]


def count_unresolved(connection: Connection) -> int:
    """Cases that wait for an operator."""
    row = connection.execute(_COUNT, ([number_of(status) for status in UNRESOLVED],)).fetchone()
    return int(row[0]) if row is not None else 0


def claim(connection: Connection, origin: Origin, who: str) -> bool:
    """open → redriving, committed. False where the case is no longer open."""
    row = (*origin, number_of(CaseStatus.REDRIVING), who, None, False)
    return connection.execute(_BEGIN, row).rowcount == 1


def mark_redriven(connection: Connection, origin: Origin, position: tuple[int, int]) -> bool:
    """redriving → redriven, committed. False where another one has marked it."""
    change = (number_of(CaseStatus.REDRIVEN), *position, *origin, number_of(CaseStatus.REDRIVING))
    return connection.execute(_FINISH, change).rowcount == 1


def discard(connection: Connection, origin: Origin, who: str, because: str) -> bool:
    """open → discarded, committed. False where the case is no longer open."""
    row = (*origin, number_of(CaseStatus.DISCARDED), who, because, True)
    return connection.execute(_BEGIN, row).rowcount == 1


def _case(row: Any) -> Case:
    status = STATUSES[row.status]
    return Case(
        Origin(row.origin_topic, row.origin_partition, row.origin_offset, row.origin_item),
        row.reason,
        row.detail,
        row.key,
        row.value,
        row.value_bytes,
        row.received_at,
        status,
        _resolution(row) if status is not CaseStatus.OPEN else None,
    )


def _resolution(row: Any) -> Resolution:
    position = (row.command_partition, row.command_offset) if row.command_offset is not None else None
    return Resolution(row.resolved_by, row.because, row.claimed_at, row.resolved_at, position)
