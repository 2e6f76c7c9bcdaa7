"""What callers send and see of scheduled transfers. Times of a schedule are those of the wall clock in its zone."""

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec

from ingest_api.aliases.parties import PartyText
from ingest_api.http.bodies import AmountText, CurrencyText, Description
from ingest_api.http.resources import STATUS_OF, account_text, rfc3339, rfc3339_of_us
from ingest_api.reads.cursor import Cursor, encode_cursor
from ingest_api.schedules.register import Stored
from ingest_api.schedules.rows import Status, microseconds
from payments.entries import EntryKind
from payments.identifiers import PAYMENT, SCHEDULE, format_id
from payments.lifecycle import PaymentStatus
from payments.money import format_minor
from payments.rejections import Reason
from payments.terms.occurrences import left_out, upcoming
from payments.terms.schedules import RETRIES_MAX, RETRY_HOURS_MAX, TIMES_MAX
from schemas.codec.fields import REASONS

WallText = Annotated[
    str,
    msgspec.Meta(
        description="Date, or date and time, on the wall clock of `zone`, without an offset; a date is its midnight",
        extra_json_schema={"examples": ["2026-12-24T09:00:00"]},
    ),
]
ZoneText = Annotated[str, msgspec.Meta(description="IANA name", extra_json_schema={"examples": ["Europe/Berlin"]})]
ExpressionText = Annotated[
    str,
    msgspec.Meta(
        description="Five cron fields, or @daily, @weekly, @monthly, @yearly. Without it the transfer is made once",
        extra_json_schema={"examples": ["0 9 1 * *"]},
    ),
]
Times = Annotated[int, msgspec.Meta(extra_json_schema={"minimum": 1, "maximum": TIMES_MAX})]
Retries = Annotated[
    int,
    msgspec.Meta(
        description="Further tries where the payer has too little money; 0: the occurrence is skipped",
        extra_json_schema={"minimum": 0, "maximum": RETRIES_MAX},
    ),
]
RetryHours = Annotated[
    int,
    msgspec.Meta(
        description="From a refusal to the next try", extra_json_schema={"minimum": 1, "maximum": RETRY_HOURS_MAX}
    ),
]
MissedText = Literal["each", "last", "none"]
MonthEndText = Literal["last_day", "skip"]


class ScheduleBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Transfer money once at `starts`, or from then on as often as `expression` says. `missed` tells what is paid after
    a stop of the service: each occurrence, the last, or none that is more than an hour late.
    """

    from_account: PartyText
    to_account: PartyText
    amount: AmountText
    currency: CurrencyText
    memo: Description = ""
    zone: ZoneText = "UTC"
    starts: WallText
    expression: ExpressionText | None = None
    ends: WallText | None = None
    times: Times | None = None
    month_end: MonthEndText = "last_day"
    missed: MissedText = "each"
    retries: Retries = 0
    retry_hours: RetryHours = 24


class ScheduleChangeBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What may change; fields left out stay as they are. Another rule or account is another schedule."""

    status: Literal["active", "paused"] | None = None
    amount: AmountText = msgspec.field(default_factory=msgspec.Raw)
    memo: Description | None = None
    ends: WallText | msgspec.UnsetType | None = msgspec.UNSET
    times: Times | msgspec.UnsetType | None = msgspec.UNSET
    missed: MissedText | None = None
    retries: Retries | None = None
    retry_hours: RetryHours | None = None


class ScheduledTransferResource(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A schedule. `issued` counts its occurrences so far; without `next_due_at` nothing follows."""

    id: str
    status: str
    end_reason: str | None = None
    from_account: str
    to_account: str
    amount: str
    amount_minor: int
    currency: str
    memo: str
    zone: str
    starts: str
    expression: str | None = None
    ends: str | None = None
    times: int | None = None
    month_end: str
    missed: str
    retries: int
    retry_hours: int
    issued: int
    next_due_at: str | None = None
    created_at: str


class SchedulePage(msgspec.Struct):
    """Schedules, the latest first. `next_cursor` leads on where `has_more`."""

    items: list[ScheduledTransferResource]
    has_more: bool
    next_cursor: str | None


class OccurrenceResource(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One try at one of a schedule's transfers: `at` on the wall clock, the same for all its tries."""

    at: str
    attempt: int
    due_at: str
    payment: str
    amount: str
    amount_minor: int
    currency: str
    status: str
    reason: str | None = None
    sent_at: str | None = None


class OccurrencePage(msgspec.Struct):
    """Occurrences, the latest first. `next_cursor` leads on where `has_more`."""

    items: list[OccurrenceResource]
    has_more: bool
    next_cursor: str | None


class DueTime(msgspec.Struct):
    """When an occurrence is due: on the wall clock, and as an instant."""

    at: str
    due_at: str


class Preview(msgspec.Struct):
    """The next occurrences, as they stand now; tries again are not among them."""

    zone: str
    items: list[DueTime]


RESOURCES: Final[tuple[type, ...]] = (
    ScheduleBody,
    ScheduleChangeBody,
    ScheduledTransferResource,
    SchedulePage,
    OccurrenceResource,
    OccurrencePage,
    DueTime,
    Preview,
)


def shown(stored: Stored) -> ScheduledTransferResource:
    """One schedule."""
    schedule, terms, progress, status, end_reason = stored.transfer
    due_us = stored.transfer.next_due_us
    return ScheduledTransferResource(
        id=format_id(SCHEDULE, schedule.schedule_id),
        status=status,
        end_reason=end_reason,
        from_account=account_text(terms.payer),
        to_account=account_text(terms.payee),
        amount=format_minor(terms.amount_minor, terms.currency),
        amount_minor=terms.amount_minor,
        currency=terms.currency,
        memo=terms.memo,
        zone=schedule.zone,
        starts=schedule.starts.isoformat(),
        expression=schedule.expression,
        ends=schedule.ends.isoformat() if schedule.ends else None,
        times=schedule.times,
        month_end=schedule.month_end,
        missed=schedule.missed,
        retries=schedule.retries,
        retry_hours=schedule.retry_hours,
        issued=progress.issued,
        next_due_at=rfc3339_of_us(due_us) if due_us is not None else None,
        created_at=rfc3339(stored.created_at),
    )


def shown_page(found: list[Stored], limit: int) -> SchedulePage:
    """Up to `limit` of them; one more than that says that there are more."""
    more = len(found) > limit
    last = found[limit - 1] if more else None
    after = _cursor(last.created_at, UUID(bytes=last.transfer.schedule.schedule_id)) if last else None
    return SchedulePage([shown(one) for one in found[:limit]], more, after)


def shown_occurrences(rows: list[dict[str, Any]], limit: int) -> OccurrencePage:
    """The same for occurrences, with what is known of their payments."""
    more = len(rows) > limit
    after = _cursor(rows[limit - 1]["due_at"], rows[limit - 1]["payment_id"]) if more else None
    return OccurrencePage([_occurrence(row) for row in rows[:limit]], more, after)


def shown_preview(stored: Stored, count: int) -> Preview:
    """The next occurrences of a schedule; of a paused one, as if it went on now."""
    schedule, _, progress, status, _ = stored.transfer
    if status is Status.PAUSED:
        progress = left_out(schedule, progress, microseconds(stored.now))
    following = () if status is Status.ENDED else islice(upcoming(schedule, progress), count)
    return Preview(schedule.zone, [DueTime(each.wall.isoformat(), rfc3339_of_us(each.due_at_us)) for each in following])


def _cursor(at: datetime, id_: UUID) -> str:
    return encode_cursor(Cursor(at, id_))


def _occurrence(row: Mapping[str, Any]) -> OccurrenceResource:
    status, reason = row["outcome"], row["reason"]
    if status is None and row["state"] is not None:
        status, now = STATUS_OF[EntryKind(row["state"])], REASONS[row["state_reason"]]
        reason = now if now is not Reason.NONE else None
    return OccurrenceResource(
        at=row["wall"].isoformat(),
        attempt=row["attempt"],
        due_at=rfc3339(row["due_at"]),
        payment=format_id(PAYMENT, row["payment_id"].bytes),
        amount=format_minor(row["amount_minor"], row["currency"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        status=status or PaymentStatus.RECEIVED,
        reason=reason,
        sent_at=rfc3339(row["sent_at"]) if row["sent_at"] else None,
    )
