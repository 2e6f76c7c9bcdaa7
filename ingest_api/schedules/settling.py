"""What became of the payments of sent occurrences: told to the occurrence, and to its schedule where that follows.

Reads the view payments. Insufficient funds → the next try waits, as the schedule's rule has it; an account that will
never do → the schedule ends with that reason; anything else concerns this occurrence alone.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from psycopg import Connection
from psycopg.rows import dict_row

from ingest_api.http.resources import STATUS_OF
from ingest_api.schedules.rows import COLUMNS, FINISH, UPDATE, ScheduledTransfer, microseconds, row_of, transfer_of
from payments.entries import EntryKind
from payments.lifecycle import FINAL, PaymentStatus
from payments.rejections import Reason
from payments.terms.occurrences import Occurrence, refused
from schemas.codec.fields import REASONS

HOPELESS: Final = frozenset(
    {
        Reason.ACCOUNT_NOT_FOUND,
        Reason.ACCOUNT_CLOSED,
        Reason.ACCOUNT_RESERVED,
        Reason.CURRENCY_MISMATCH,
        Reason.PAYEE_NOT_FOUND,
        Reason.PAYEE_CLOSED,
        Reason.PAYEE_CURRENCY_MISMATCH,
    }
)
"""No later occurrence can do better: the schedule ends."""

_FINAL_KINDS: Final = ", ".join(f"{kind:d}" for kind, status in STATUS_OF.items() if status in FINAL)
_FINAL: Final = f"""
SELECT tried.schedule_id, tried.wall, tried.attempt, tried.due_at, tried.payment_id, payment.state, payment.reason,
    (payment.payer, payment.payee, payment.amount_minor, payment.currency)
        = (tried.payer, tried.payee, tried.amount_minor, tried.currency) AS is_ours
FROM schedule_occurrences AS tried JOIN payments AS payment USING (payment_id)
WHERE tried.sent_at IS NOT NULL AND tried.settled_at IS NULL AND payment.state IN ({_FINAL_KINDS})
ORDER BY tried.due_at LIMIT %s FOR UPDATE OF tried SKIP LOCKED"""
_SETTLE: Final = """
UPDATE schedule_occurrences SET outcome = %s, reason = %s, settled_at = now() WHERE payment_id = %s"""
_SCHEDULES: Final = f"SELECT {COLUMNS} FROM schedules WHERE schedule_id = ANY(%s) ORDER BY schedule_id FOR UPDATE"


def settle(connection: Connection, now: datetime, limit: int) -> Counter[PaymentStatus]:
    """How many came to which end. Part of the caller's transaction: an outcome is told to its schedule once."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_FINAL.encode(), (limit,)).fetchall()
        if not found:
            return Counter()
        ids = list({row["schedule_id"] for row in found})
        locked = cursor.execute(_SCHEDULES.encode(), (ids,)).fetchall()
        schedules = {row["schedule_id"]: transfer_of(row) for row in locked}
        settled: Counter[PaymentStatus] = Counter()
        for row in found:
            status, reason = _outcome(row)
            settled[status] += 1
            cursor.execute(_SETTLE, (status, reason if reason is not Reason.NONE else None, row["payment_id"]))
            schedules[row["schedule_id"]] = _after(schedules[row["schedule_id"]], row, reason, now)
        cursor.executemany(UPDATE, [row_of(schedule) for schedule in schedules.values()])
        cursor.execute(FINISH.encode(), (ids,))
    return settled


def _outcome(row: Mapping[str, Any]) -> tuple[PaymentStatus, Reason]:
    if not row["is_ours"]:  # somebody else sent this key from this account first: ours was refused, and left no row
        return PaymentStatus.REJECTED, Reason.IDEMPOTENCY_KEY_REUSED
    return STATUS_OF[EntryKind(row["state"])], REASONS[row["reason"]]


def _after(transfer: ScheduledTransfer, row: Mapping[str, Any], reason: Reason, now: datetime) -> ScheduledTransfer:
    """The schedule, once it knows this outcome. The wait for the next try begins now, by the clock that ends it."""
    if reason in HOPELESS:
        return transfer.ended(reason)
    if reason is not Reason.INSUFFICIENT_FUNDS:
        return transfer
    tried = Occurrence(row["wall"], row["attempt"], microseconds(row["due_at"]))
    progress = refused(transfer.schedule, transfer.progress, tried, microseconds(now))
    return transfer._replace(progress=progress)
