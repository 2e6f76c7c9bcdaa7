"""What internal reconciliation finds, how bad it is and what would put it right. Values alone."""

from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from reconciliation.internal.views import Leg, Place
from reconciliation.matching.breaks import BreakType


class Severity(StrEnum):
    """`high`: money is wrong, or somebody does not have what is theirs. `medium`: nobody knows yet. `low`: a record."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Repair(StrEnum):
    """What would put it right."""

    INQUIRE = "inquire"
    """One more attempt that moves nothing: the provider is asked, and its answer ends the movement."""
    REPLAY_RESULT = "replay_result"
    """The same; the provider is known to have done it, so that the answer posts it."""
    ADJUST = "adjust"
    """A journal, proposed to the breaks desk: a second person approves it."""
    NONE = "none"
    """For people: the sides are too far apart for a rule, or a table is not what the log says (`millrace replay`)."""


class Aspect(StrEnum):
    """What of its subject a finding is about: one break each, whatever becomes of it from run to run."""

    PROGRESS = "progress"
    AMOUNT = "amount"
    CURRENCY = "currency"
    REFUNDS = "refunds"
    WALLET = "wallet"


class Kind(NamedTuple):
    """What all findings of a type have in common."""

    aspect: Aspect
    severity: Severity


KINDS: Final = {
    BreakType.STUCK_EXECUTING: Kind(Aspect.PROGRESS, Severity.MEDIUM),
    BreakType.CAPTURED_NOT_POSTED: Kind(Aspect.PROGRESS, Severity.HIGH),
    BreakType.POSTED_NOT_CAPTURED: Kind(Aspect.PROGRESS, Severity.HIGH),
    BreakType.STATUS_MISMATCH: Kind(Aspect.PROGRESS, Severity.LOW),
    BreakType.ORDER_WITHOUT_ATTEMPT: Kind(Aspect.PROGRESS, Severity.MEDIUM),
    BreakType.ATTEMPT_WITHOUT_ORDER: Kind(Aspect.PROGRESS, Severity.MEDIUM),
    BreakType.AMOUNT_MISMATCH: Kind(Aspect.AMOUNT, Severity.HIGH),
    BreakType.CURRENCY_MISMATCH: Kind(Aspect.CURRENCY, Severity.HIGH),
    BreakType.REFUND_MISMATCH: Kind(Aspect.REFUNDS, Severity.MEDIUM),
    BreakType.WALLET_MISMATCH: Kind(Aspect.WALLET, Severity.HIGH),
}
"""Every type that internal reconciliation finds."""


class Finding(NamedTuple):
    """One disagreement. `difference_minor` is what the books have too much; of what is stuck, what is at stake.

    `evidence`: what each side says. `legs`: of the journal that would put it right, where `repair` is ADJUST.
    """

    type: BreakType
    subject: UUID
    reason: str
    difference_minor: int
    currency: str
    day: date
    evidence: dict[str, str]
    repair: Repair = Repair.NONE
    legs: tuple[Leg, ...] = ()
    attempt: int = 0
    asked_in: Place | None = None

    @property
    def severity(self) -> Severity:
        return KINDS[self.type].severity

    @property
    def aspect(self) -> Aspect:
        return KINDS[self.type].aspect
