"""What may happen to a break: its statuses, and what a person, a run or the ledger may do in each. Pure.

open ──assign──▶ assigned ──propose──▶ proposed ──approve──▶ approved ──post──▶ resolved | written_off
 └──────────────propose──────────────────▲  │reject, withdraw        │fail
                                            └──▶ open | assigned ◀───┘
A run closes what it finds no more (its match has come), and opens again what is back or differs from what was resolved.
"""

from enum import StrEnum
from typing import Final, NamedTuple


class Status(StrEnum):
    """Where a break stands."""

    OPEN = "open"
    ASSIGNED = "assigned"
    PROPOSED = "proposed"
    """Waits for a second person."""
    APPROVED = "approved"
    """Its journal is on the way."""
    RESOLVED = "resolved"
    WRITTEN_OFF = "written_off"
    CLOSED = "closed"
    """By itself: a run found it no more."""


class Action(StrEnum):
    """What may be done."""

    ASSIGN = "assign"
    COMMENT = "comment"
    ATTACH = "attach"
    PROPOSE = "propose"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    APPROVE = "approve"
    POST = "post"
    FAIL = "fail"
    CLOSE = "close"
    CHANGE = "change"
    """A run finds it with another type, amount or lines."""
    REOPEN = "reopen"


class Kind(StrEnum):
    """What a proposal does."""

    ADJUST = "adjust"
    WRITE_OFF = "write_off"
    EXPLAIN = "explain"


class Refusal(StrEnum):
    """Why not; the value is the public code."""

    UNKNOWN = "break_not_found"
    STATUS = "break_status"
    FOUR_EYES = "second_person_needed"
    PERIOD_SIGNED = "period_signed_off"
    LEGS = "adjustment_invalid"
    TOO_LARGE = "attachment_too_large"
    TOO_MANY = "too_many_attachments"


class Standing(NamedTuple):
    """What the machine looks at. `proposed_by` and `kind` are of the proposal that waits, or was approved."""

    status: Status
    owner: str = ""
    proposed_by: str = ""
    kind: Kind | None = None
    is_signed: bool = False


LIVE: Final = frozenset({Status.OPEN, Status.ASSIGNED, Status.PROPOSED, Status.APPROVED})
"""Somebody still has to do something."""

_SETTLED: Final = {Kind.ADJUST: Status.RESOLVED, Kind.WRITE_OFF: Status.WRITTEN_OFF, Kind.EXPLAIN: Status.RESOLVED}
_FROM: Final[dict[Action, frozenset[Status]]] = {
    Action.ASSIGN: LIVE,
    Action.COMMENT: frozenset(Status),
    Action.ATTACH: frozenset(Status),
    Action.PROPOSE: frozenset({Status.OPEN, Status.ASSIGNED}),
    Action.REJECT: frozenset({Status.PROPOSED}),
    Action.WITHDRAW: frozenset({Status.PROPOSED}),
    Action.APPROVE: frozenset({Status.PROPOSED}),
    Action.POST: frozenset({Status.APPROVED}),
    Action.FAIL: frozenset({Status.APPROVED}),
    Action.CLOSE: frozenset({Status.OPEN, Status.ASSIGNED, Status.PROPOSED}),
    Action.CHANGE: LIVE,
    Action.REOPEN: frozenset(Status) - LIVE,
}


def after(standing: Standing, action: Action, by: str) -> Status | Refusal:
    """The status afterwards, or why this may not be done now, or not by this person."""
    if standing.status not in _FROM[action]:
        return Refusal.STATUS
    if action is Action.APPROVE and by == standing.proposed_by:
        return Refusal.FOUR_EYES
    if action is Action.WITHDRAW and by != standing.proposed_by:
        return Refusal.STATUS
    if action is Action.REOPEN and standing.is_signed:
        return Refusal.PERIOD_SIGNED
    return _next(standing, action)


def found_again(standing: Standing, *, differs: bool) -> Action | None:
    """What a run does that finds the break: None where everything is as it was. What was resolved stays so while it is
    what was resolved; what closed by itself and is back is open.
    """
    if standing.status in LIVE:
        return Action.CHANGE if differs else None
    return Action.REOPEN if differs or standing.status is Status.CLOSED else None


def _next(standing: Standing, action: Action) -> Status:
    waiting = Status.ASSIGNED if standing.owner else Status.OPEN
    match action:
        case Action.ASSIGN:
            return Status.ASSIGNED if standing.status is Status.OPEN else standing.status
        case Action.PROPOSE:
            return Status.PROPOSED
        case Action.APPROVE:
            return Status.RESOLVED if standing.kind is Kind.EXPLAIN else Status.APPROVED
        case Action.POST:
            return _SETTLED[standing.kind or Kind.ADJUST]
        case Action.CLOSE:
            return Status.CLOSED
        case Action.CHANGE:
            # A journal that is on its way can't be called back; a proposal about another amount is void.
            return Status.APPROVED if standing.status is Status.APPROVED else waiting
        case Action.REJECT | Action.WITHDRAW | Action.FAIL | Action.REOPEN:
            return waiting
        case Action.COMMENT | Action.ATTACH:
            return standing.status
