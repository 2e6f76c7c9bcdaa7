"""Bodies → schedules: what a call orders, and what a change makes of a schedule. Refusals are raised as Problem."""

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from ingest_api.http.bodies import TransferBody, description_fault, is_given, parse_amount, transfer_command
from ingest_api.problems import Fault, FieldError, field_problem, refused
from ingest_api.schedules.register import Stored
from ingest_api.schedules.rows import ScheduledTransfer, Status, Terms, microseconds, moment
from ingest_api.schedules.shown import ScheduleBody, ScheduleChangeBody
from ingest_api.transfers import checked
from payments.rejections import Reason
from payments.terms.occurrences import left_out
from payments.terms.schedules import (
    EXPRESSION_CHARS_MAX,
    RETRIES_MAX,
    RETRY_HOURS_MAX,
    TIMES_MAX,
    YEARS,
    MissedRuns,
    MonthEnd,
    Schedule,
    ScheduleProblem,
    schedule_problem,
)
from payments.terms.wall_clock import instant_us, zone_of

STARTED_AGO: Final = timedelta(days=1)
"""A start may lie so far back: "today" is meant in any zone. What is further back was never ordered."""

_REFUSED: Final = {
    ScheduleProblem.ZONE_UNKNOWN: ("/zone", "Not a zone of the IANA table, such as Europe/Berlin."),
    ScheduleProblem.EXPRESSION_INVALID: (
        "/expression",
        f"Send five cron fields of at most {EXPRESSION_CHARS_MAX} characters that name days there are: 0 9 1 * *.",
    ),
    ScheduleProblem.ONCE_HAS_LIMITS: ("/expression", "ends and times are for schedules with an expression."),
    ScheduleProblem.TIMES_OUT_OF_RANGE: ("/times", f"Send 1 to {TIMES_MAX}."),
    ScheduleProblem.RETRIES_OUT_OF_RANGE: (
        "/retries",
        f"Send 0 to {RETRIES_MAX} retries, and 1 to {RETRY_HOURS_MAX} retry_hours.",
    ),
    ScheduleProblem.NEVER_DUE: ("/ends", "No time of the expression lies between starts and ends."),
}


def ordered(body: ScheduleBody, schedule_id: bytes) -> ScheduledTransfer:
    """The schedule that a body means; its parties are named by account id. Raises Problem."""
    transfer = TransferBody(body.from_account, body.to_account, body.amount, body.currency, _memo(body.memo))
    command = checked(transfer_command(transfer, ""))
    if command.payer == command.payee:
        raise refused(Reason.SAME_ACCOUNT)
    schedule = Schedule(
        schedule_id,
        body.zone,
        _wall(body.starts, "/starts"),
        body.expression,
        _wall(body.ends, "/ends") if body.ends is not None else None,
        body.times,
        MonthEnd(body.month_end),
        MissedRuns(body.missed),
        body.retries,
        body.retry_hours,
    )
    _require_valid(schedule)
    terms = Terms(command.payer, command.payee, command.amount_minor, command.currency, command.description)
    return ScheduledTransfer(schedule, terms)


def require_start_ahead(schedule: Schedule, now: datetime) -> None:
    """Raises Problem for a start that lies more than STARTED_AGO back."""
    if moment(instant_us(zone_of(schedule.zone), schedule.starts)) < now - STARTED_AGO:
        raise field_problem(FieldError("/starts", Fault.FIELD_INVALID, "It has passed: start today or later."))


def request_of(transfer: ScheduledTransfer) -> bytes:
    """What a repeat of the call has to ask for again."""
    return hashlib.sha256(msgspec.json.encode((transfer.schedule, transfer.terms))).digest()


def changed(body: ScheduleChangeBody, stored: Stored) -> ScheduledTransfer:
    """The schedule after a change. Raises Problem. What came due while it was paused is left out when it goes on."""
    before = stored.transfer
    if before.status is Status.ENDED:
        raise field_problem(FieldError("", Fault.SCHEDULE_ENDED, f"It has ended: {before.end_reason}. Make a new one."))
    schedule = before.schedule._replace(**_changes(body))
    _require_valid(schedule)
    after = before._replace(schedule=schedule, terms=_changed_terms(body, before.terms))
    if body.status is not None:
        after = after._replace(status=Status(body.status))
    if before.status is Status.PAUSED and after.status is Status.ACTIVE:
        after = after._replace(progress=left_out(schedule, before.progress, microseconds(stored.now)))
    return after


def _changes(body: ScheduleChangeBody) -> dict[str, Any]:
    changes: dict[str, Any] = {
        name: getattr(body, name) for name in ("retries", "retry_hours") if getattr(body, name) is not None
    }
    if body.missed is not None:
        changes["missed"] = MissedRuns(body.missed)
    if body.times is not msgspec.UNSET:
        changes["times"] = body.times
    if body.ends is not msgspec.UNSET:
        changes["ends"] = _wall(body.ends, "/ends") if body.ends is not None else None
    return changes


def _changed_terms(body: ScheduleChangeBody, terms: Terms) -> Terms:
    if is_given(body.amount):
        amount_minor = parse_amount(body.amount, terms.currency)
        if isinstance(amount_minor, FieldError):
            raise field_problem(amount_minor)
        terms = terms._replace(amount_minor=amount_minor)
    if body.memo is not None:
        terms = terms._replace(memo=_memo(body.memo))
    return terms


def _memo(memo: str) -> str:
    fault = description_fault(memo)
    if fault is not None:
        raise field_problem(fault._replace(pointer="/memo"))
    return memo


def _wall(text: str, pointer: str) -> datetime:
    try:
        wall: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        wall = None
    if wall is None or wall.tzinfo is not None or wall.year not in YEARS:
        detail = (
            "Send a date, or date and time, such as 2026-12-24T09:00:00: on the wall clock of `zone`, so without an"
            f" offset, in the years {YEARS.start} to {YEARS.stop - 1}."
        )
        raise field_problem(FieldError(pointer, Fault.FIELD_INVALID, detail))
    return wall


def _require_valid(schedule: Schedule) -> None:
    problem = schedule_problem(schedule)
    if problem is not None:
        pointer, detail = _REFUSED[problem]
        raise field_problem(FieldError(pointer, Fault.FIELD_INVALID, detail))
