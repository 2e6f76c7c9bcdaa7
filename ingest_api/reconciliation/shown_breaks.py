"""Breaks as JSON shows them, the same from the command line and over HTTP."""

from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection

from ingest_api.http.resources import rfc3339
from ingest_api.journals.shown import Leg, shown_legs
from ingest_api.reconciliation.shown import ReconciliationLine, shown_line
from payments.identifiers import JOURNAL, format_id
from payments.items.details import Posting
from payments.money import format_minor
from reconciliation.breaks import reads as breaks
from reconciliation.breaks.listing import Aged
from reconciliation.runs.sides import BREAK
from reconciliation.store.files import find_line

PROPOSAL, ATTACHMENT = "rpr", "rat"
"""Kind prefixes of ids."""

LINES_MAX = 100
"""Lines of files that a break is shown with."""


class ReconciliationBreak(msgspec.Struct):
    """A disagreement. `difference` is what the books have more than the files; `age_days` are business days."""

    id: str
    rules: str
    type: str
    status: str
    reason: str
    keys: dict[str, str]
    difference: str
    difference_minor: int
    currency: str
    day: str
    age_days: int
    age: str
    due_on: str
    is_overdue: bool
    owner: str
    after_sign_off: bool
    opened_at: str
    changed_at: str
    internal: list[str]
    external: list[str]


class ReconciliationBreakPage(msgspec.Struct):
    """Breaks by value or age. `next_cursor` leads on where `has_more`."""

    items: list[ReconciliationBreak]
    has_more: bool
    next_cursor: str | None


class BreakEvent(msgspec.Struct):
    """What happened to a break."""

    at: str
    by: str
    action: str
    before: str
    after: str
    because: str
    told: dict[str, Any]


class Adjustment(msgspec.Struct):
    """A proposal and what became of it: posted, explained, rejected, withdrawn, or why the ledger refused it."""

    id: str
    break_id: str
    kind: str
    reason_code: str
    because: str
    legs: list[Leg]
    proposed_by: str
    proposed_at: str
    decision: str
    decided_by: str
    decided_at: str | None
    journal: str | None
    outcome: str


class WaitingAdjustments(msgspec.Struct):
    """What waits for a second person, the oldest first."""

    items: list[Adjustment]


class BreakAttachment(msgspec.Struct):
    """A document; its bytes are at …/attachments/{id}."""

    id: str
    name: str
    media_type: str
    sha256: str
    bytes: int
    attached_by: str
    attached_at: str


class ReconciliationBreakDetail(ReconciliationBreak, kw_only=True):
    """A break with its lines, its trail and what was proposed."""

    lines: list[ReconciliationLine]
    trail: list[BreakEvent]
    adjustments: list[Adjustment]
    attachments: list[BreakAttachment]


def shown_break(aged: Aged) -> ReconciliationBreak:
    """As it stands today."""
    one = aged.row
    return ReconciliationBreak(
        id=format_id(BREAK, one.break_id.bytes),
        rules=one.rule_set,
        type=one.type,
        status=one.status,
        reason=one.reason,
        keys=one.keys,
        difference=format_minor(one.difference_minor, one.currency) if one.currency else str(one.difference_minor),
        difference_minor=one.difference_minor,
        currency=one.currency,
        day=one.day.isoformat(),
        age_days=aged.age_days,
        age=aged.age,
        due_on=one.due_on.isoformat(),
        is_overdue=aged.is_overdue,
        owner=one.owner,
        after_sign_off=one.after_sign_off,
        opened_at=_at(one.opened_at),
        changed_at=_at(one.changed_at),
        internal=one.internal,
        external=list(map(str, one.external)),
    )


def shown_adjustment(one: breaks.Proposed, break_id: UUID) -> Adjustment:
    """With its legs."""
    legs = [Posting(UUID(account).bytes, minor, currency) for account, minor, currency in one.legs]
    return Adjustment(
        id=format_id(PROPOSAL, one.proposal_id.bytes),
        break_id=format_id(BREAK, break_id.bytes),
        kind=one.kind,
        reason_code=one.reason_code,
        because=one.because,
        legs=shown_legs(legs),
        proposed_by=one.proposed_by,
        proposed_at=rfc3339(one.proposed_at),
        decision=one.decision,
        decided_by=one.decided_by,
        decided_at=rfc3339(one.decided_at) if one.decided_at else None,
        journal=format_id(JOURNAL, one.journal_id.bytes) if one.journal_id else None,
        outcome=one.outcome,
    )


def shown_event(one: breaks.Event) -> BreakEvent:
    """One line of the trail."""
    return BreakEvent(rfc3339(one.at), one.by, one.action, one.before, one.after, one.because, one.told)


def shown_attachment(one: breaks.Attachment) -> BreakAttachment:
    """Without the bytes."""
    id_ = format_id(ATTACHMENT, one.attachment_id.bytes)
    return BreakAttachment(
        id_, one.name, one.media_type, one.sha256, one.bytes, one.attached_by, rfc3339(one.attached_at)
    )


@lru_cache(maxsize=4_096)  # what one run opened has one time; a miss costs 3 µs, which are 60 ms of 10,000 breaks
def _at(at: datetime) -> str:
    return rfc3339(at)


def shown_in_full(connection: Connection, one: Aged) -> ReconciliationBreakDetail:
    """With its lines, its trail and what was proposed."""
    id_ = one.row.break_id
    lines = (find_line(connection, line_id) for line_id in one.row.external[:LINES_MAX])
    return ReconciliationBreakDetail(
        **msgspec.structs.asdict(shown_break(one)),
        lines=[shown_line(line) for line in lines if line is not None],
        trail=[shown_event(event) for event in breaks.events_of(connection, id_)],
        adjustments=[shown_adjustment(proposed, id_) for proposed in breaks.proposals_of(connection, id_)],
        attachments=[shown_attachment(attached) for attached in breaks.attachments_of(connection, id_)],
    )


RESOURCES = (ReconciliationBreakPage, ReconciliationBreakDetail, WaitingAdjustments)
