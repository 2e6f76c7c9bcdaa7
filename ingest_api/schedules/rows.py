"""Schedules as rows: one value for the routes and for the scheduler, and how it is read and written."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from payments.commands import NO_REPLY, Command, CommandKind
from payments.terms.occurrences import Progress, decode_progress, encode_progress, next_due_us
from payments.terms.schedules import MissedRuns, MonthEnd, Schedule

MIGRATIONS: Final = "ingest_api.schedules"
"""Package of the tables' migrations; the scheduler applies them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Status(StrEnum):
    """Where a schedule stands."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


FINISHED: Final = "finished"
CANCELLED: Final = "cancelled"
"""Reasons of an end; the others are those for which the ledger refuses a payment."""


class Terms(NamedTuple):
    """What each occurrence pays."""

    payer: bytes
    payee: bytes
    amount_minor: int
    currency: str
    memo: str

    def command(self, idempotency_key: str) -> Command:
        """The transfer of one occurrence."""
        payer, payee, amount_minor, currency, memo = self
        return Command(CommandKind.TRANSFER, payer, payee, amount_minor, currency, NO_REPLY, idempotency_key, memo)


class ScheduledTransfer(NamedTuple):
    """A row of schedules."""

    schedule: Schedule
    terms: Terms
    progress: Progress = Progress()
    status: Status = Status.ACTIVE
    end_reason: str | None = None

    @property
    def next_due_us(self) -> int | None:
        """When it issues next; None where nothing follows."""
        return None if self.status is Status.ENDED else next_due_us(self.schedule, self.progress)

    def ended(self, reason: str) -> "ScheduledTransfer":
        """The same with nothing to come. What ended before stays as it ended."""
        if self.status is Status.ENDED:
            return self
        return self._replace(status=Status.ENDED, end_reason=reason)


COLUMNS: Final = """schedule_id, status, end_reason, payer, payee, amount_minor, currency, memo, zone, starts,
    expression, ends, times, month_end, missed, retries, retry_hours, progress, next_due_at"""

INSERT: Final = f"""
INSERT INTO schedules ({COLUMNS}, request, created_by) VALUES (
    %(schedule_id)s, %(status)s, %(end_reason)s, %(payer)s, %(payee)s, %(amount_minor)s, %(currency)s,
    %(memo)s, %(zone)s, %(starts)s, %(expression)s, %(ends)s, %(times)s, %(month_end)s, %(missed)s, %(retries)s,
    %(retry_hours)s, %(progress)s, %(next_due_at)s, %(request)s, %(created_by)s)
ON CONFLICT DO NOTHING"""

UPDATE: Final = """
UPDATE schedules SET status = %(status)s, end_reason = %(end_reason)s, amount_minor = %(amount_minor)s,
    memo = %(memo)s, ends = %(ends)s, times = %(times)s, missed = %(missed)s, retries = %(retries)s,
    retry_hours = %(retry_hours)s, progress = %(progress)s, next_due_at = %(next_due_at)s
WHERE schedule_id = %(schedule_id)s"""


FINISH: Final = f"""
UPDATE schedules AS schedule
SET status = '{Status.ENDED}', end_reason = '{FINISHED}'
WHERE schedule_id = ANY(%s) AND status <> '{Status.ENDED}' AND next_due_at IS NULL AND NOT EXISTS (
    SELECT FROM schedule_occurrences AS tried
    WHERE tried.schedule_id = schedule.schedule_id AND tried.settled_at IS NULL)"""
"""Ends those that have nothing to issue, and nothing under way that may be tried again."""


def row_of(transfer: ScheduledTransfer) -> dict[str, Any]:
    """Parameters of INSERT (but for who asks) and of UPDATE."""
    schedule, terms = transfer.schedule, transfer.terms
    due_us = transfer.next_due_us
    return {
        **schedule._asdict(),
        **terms._asdict(),
        "schedule_id": UUID(bytes=schedule.schedule_id),
        "payer": UUID(bytes=terms.payer),
        "payee": UUID(bytes=terms.payee),
        "status": transfer.status,
        "end_reason": transfer.end_reason,
        "progress": encode_progress(transfer.progress),
        "next_due_at": moment(due_us) if due_us is not None else None,
    }


def transfer_of(row: Mapping[str, Any]) -> ScheduledTransfer:
    """The value of a row with COLUMNS."""
    timing = {name: row[name] for name in ("zone", "starts", "expression", "ends", "times", "retries", "retry_hours")}
    schedule = Schedule(
        schedule_id=row["schedule_id"].bytes,
        month_end=MonthEnd(row["month_end"]),
        missed=MissedRuns(row["missed"]),
        **timing,
    )
    progress = decode_progress(row["progress"])
    status = Status(row["status"])
    return ScheduledTransfer(schedule, terms_of(row), progress, status, row["end_reason"])


def terms_of(row: Mapping[str, Any]) -> Terms:
    """What a schedule or an occurrence pays."""
    return Terms(row["payer"].bytes, row["payee"].bytes, row["amount_minor"], row["currency"], row["memo"])


def moment(at_us: int) -> datetime:
    """Microseconds since 1970 as an instant."""
    return _EPOCH + at_us * _MICROSECOND


def microseconds(at: datetime) -> int:
    """Inverse of `moment`."""
    return (at - _EPOCH) // _MICROSECOND
