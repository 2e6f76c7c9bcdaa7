"""Findings of internal reconciliation as JSON shows them, the same from the command line and over HTTP."""

import msgspec
from psycopg import Connection

from ingest_api.http.resources import rfc3339
from ingest_api.journals.shown import Leg, shown_legs
from ingest_api.reconciliation.shown_breaks import BreakEvent, shown_event
from payments.identifiers import format_id
from payments.items.details import Posting
from payments.money import format_minor
from reconciliation.breaks.reads import events_of
from reconciliation.internal.reads import Inquiry, StoredFinding, inquiries_of
from reconciliation.internal.repairing import Repaired
from reconciliation.internal.run import Result
from reconciliation.runs.run import RUN
from reconciliation.runs.sides import BREAK


class InternalFinding(msgspec.Struct):
    """A disagreement about one movement of money outside (or a wallet), what each side says, and what puts it right.

    `difference` is what the books have too much; of what is stuck, what is at stake. The break has the same id.
    """

    id: str
    type: str
    status: str
    severity: str
    repair: str
    reason: str
    difference: str
    difference_minor: int
    currency: str
    day: str
    evidence: dict[str, str]
    subject: str
    """The request, order and journal (or the account), by the hexadecimal digits of their one id."""
    opened_at: str
    changed_at: str


class InternalFindingPage(msgspec.Struct):
    """Findings that nobody has dealt with, the largest first. `next_cursor` leads on where `has_more`."""

    items: list[InternalFinding]
    has_more: bool
    next_cursor: str | None


class InternalInquiry(msgspec.Struct):
    """An attempt that was asked for: it moves nothing. `refusal`: why the connectors can't send it."""

    attempt: int
    asked_by: str
    asked_at: str
    sent_at: str | None
    refusal: str


class InternalFindingDetail(InternalFinding, kw_only=True):
    """With the journal that would put it right, the inquiries that were asked for, and the trail of its break."""

    legs: list[Leg]
    inquiries: list[InternalInquiry]
    trail: list[BreakEvent]


class InternalRun(msgspec.Struct):
    """An internal run. `changes`: what became of the breaks. `providers_silent`: about so many movements a provider was
    to be asked and has not answered in time; what it says later counts in the next run.
    """

    id: str
    movements: int
    wallets: int
    providers_asked: int
    providers_silent: int
    findings: int
    result_hash: str
    changes: dict[str, int]


class InternalRepair(msgspec.Struct):
    """What was done about a finding. `attempt` is that of an inquiry, 0 without one."""

    finding: str
    done: str
    attempt: int


class InternalRepairs(msgspec.Struct):
    """In the order in which they were named."""

    items: list[InternalRepair]


def shown_finding(one: StoredFinding) -> InternalFinding:
    """As the newest run saw it."""
    return InternalFinding(
        id=format_id(BREAK, one.break_id.bytes),
        type=one.type,
        status=one.status,
        severity=one.severity,
        repair=one.repair,
        reason=one.reason,
        difference=format_minor(one.difference_minor, one.currency),
        difference_minor=one.difference_minor,
        currency=one.currency,
        day=one.day.isoformat(),
        evidence=one.evidence,
        subject=one.subject_id.hex,
        opened_at=rfc3339(one.opened_at),
        changed_at=rfc3339(one.changed_at),
    )


def shown_in_full(connection: Connection, one: StoredFinding) -> InternalFindingDetail:
    """With what was done about it."""
    legs = [Posting(bytes.fromhex(account), minor, currency) for account, minor, currency in one.legs]
    return InternalFindingDetail(
        **msgspec.structs.asdict(shown_finding(one)),
        legs=shown_legs(legs),
        inquiries=[_shown_inquiry(inquiry) for inquiry in inquiries_of(connection, one.break_id)],
        trail=[shown_event(event) for event in events_of(connection, one.break_id)],
    )


def _shown_inquiry(one: Inquiry) -> InternalInquiry:
    sent_at = rfc3339(one.sent_at) if one.sent_at is not None else None
    return InternalInquiry(one.attempt, one.asked_by, rfc3339(one.asked_at), sent_at, one.refusal)


def shown_run(result: Result, changes: dict[str, int]) -> InternalRun:
    """What it looked at and found."""
    id_, digest = format_id(RUN, result.run_id.bytes), result.result_hash.hex()
    asked, silent = result.providers_asked, result.providers_silent
    return InternalRun(id_, result.movements, result.wallets, asked, silent, len(result.findings), digest, changes)


def shown_repair(one: Repaired) -> InternalRepair:
    """One of them."""
    return InternalRepair(format_id(BREAK, one.break_id.bytes), one.done.value, one.attempt)


RESOURCES = (InternalFindingPage, InternalFindingDetail, InternalRun, InternalRepairs)
