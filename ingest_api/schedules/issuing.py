"""Due schedules → rows of occurrences. Progress and rows commit together, so that each occurrence is issued once."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row

from ingest_api.schedules.rows import (
    COLUMNS,
    FINISH,
    UPDATE,
    ScheduledTransfer,
    microseconds,
    moment,
    row_of,
    transfer_of,
)
from payments.identifiers import derive_operation_id
from payments.terms.occurrences import Occurrence, due, idempotency_key
from schemas.partitioning import shard_of

DUE: Final = f"""
SELECT {COLUMNS} FROM schedules WHERE status = 'active' AND next_due_at <= %s ORDER BY next_due_at LIMIT %s"""
_WAITING: Final = """
SELECT count(*) FROM (SELECT FROM schedule_occurrences WHERE sent_at IS NULL LIMIT %s) AS waiting"""
_ISSUE: Final = """
INSERT INTO schedule_occurrences (
    schedule_id, wall, attempt, due_at, payment_id, payer, payee, amount_minor, currency, memo
) VALUES (
    %(schedule_id)s, %(wall)s, %(attempt)s, %(due_at)s, %(payment_id)s, %(payer)s, %(payee)s, %(amount_minor)s,
    %(currency)s, %(memo)s)"""


def issue(connection: Connection, now: datetime, shards: int, limit: int) -> int:
    """How many occurrences were issued: until about as many wait to be sent as the limit says (one schedule adds at
    most `payments.terms.occurrences.DUE_MAX` at a time). Part of the caller's transaction.
    """
    room = limit - _waiting(connection, limit)
    found = _due(connection, now, room) if room > 0 else []
    if not found:
        return 0
    touched: list[UUID] = []
    rows: list[dict[str, Any]] = []
    for transfer in found:
        if len(rows) >= room:
            break
        issued, progress = due(transfer.schedule, transfer.progress, microseconds(now))
        connection.execute(UPDATE, row_of(transfer._replace(progress=progress)))
        touched.append(UUID(bytes=transfer.schedule.schedule_id))
        rows += _rows(transfer, issued, shards)
    with connection.cursor() as cursor:
        cursor.executemany(_ISSUE, rows)
    connection.execute(FINISH, (touched,))
    return len(rows)


def _waiting(connection: Connection, limit: int) -> int:
    row = connection.execute(_WAITING, (limit,)).fetchone()
    assert row is not None
    return int(row[0])


def _due(connection: Connection, now: datetime, limit: int) -> list[ScheduledTransfer]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(f"{DUE} FOR UPDATE SKIP LOCKED".encode(), (now, limit)).fetchall()
    return [transfer_of(row) for row in rows]


def _rows(transfer: ScheduledTransfer, issued: tuple[Occurrence, ...], shards: int) -> Iterator[dict[str, Any]]:
    schedule_id, terms = transfer.schedule.schedule_id, transfer.terms
    shard = shard_of(terms.payer, shards)
    for wall, attempt, due_at_us in issued:
        key = idempotency_key(schedule_id, wall, attempt)
        yield {
            **terms._asdict(),
            "payer": UUID(bytes=terms.payer),
            "payee": UUID(bytes=terms.payee),
            "schedule_id": UUID(bytes=schedule_id),
            "wall": wall,
            "attempt": attempt,
            "due_at": moment(due_at_us),
            "payment_id": UUID(bytes=derive_operation_id(terms.payer, key, shard)),
        }
