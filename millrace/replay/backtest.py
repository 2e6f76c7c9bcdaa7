"""What a new rule set would have done to the payments of the past: which it would have stopped or held, and how much.

Pure: goes through past attempts in the order of their time, keeps the risk state of every account as if the new rule
set had been in force all along (what it stops is an attempt and no approval), and asks it for a verdict on each. Memory
follows the accounts: about 2 KB each.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from payments.identifiers import PAYMENT, format_id
from payments.risk.activity import NO_ACTIVITY, Activity, Attempted, Key, observe
from payments.risk.assess import assess
from payments.risk.features import published
from payments.risk.limits import Limits, Tier
from payments.risk.moment import Attempt
from payments.risk.rules import RuleSet
from payments.risk.state import NEW, LimitsSet, RiskState, TierSet, evolve
from payments.risk.verdict import Outcome, Verdict

FIRST_SHOWN = 20
"""Payments named in the report; all are counted."""


class PastOutcome(StrEnum):
    """What became of a payment when it was decided."""

    APPROVED = "approved"
    DENIED = "denied"
    """By risk."""

    REFUSED = "refused"
    """For another reason, so that no rule set would have let it through."""


class PastAttempt(NamedTuple):
    """One recorded payment."""

    operation_id: bytes
    attempt: Attempt
    outcome: PastOutcome
    is_assessed: bool = False
    """It was recorded with its verdict, and so with what is known of its card, device and address."""

    @property
    def time_us(self) -> int:
        return self.attempt.time_us


class PastTerms(NamedTuple):
    """Limits and tier that an account was given."""

    time_us: int
    payer: bytes
    """Key of the account."""
    limits: Limits
    tier: Tier


class Change(StrEnum):
    """How the new rule set differs from what happened."""

    STOPPED = "stopped"
    """Approved then, denied now."""

    HELD = "held"
    """Approved then, now held for a review."""

    RELEASED = "released"
    """Denied by risk then, no longer denied."""


_CHANGES = {
    (PastOutcome.APPROVED, Outcome.DENY): Change.STOPPED,
    (PastOutcome.APPROVED, Outcome.REVIEW): Change.HELD,
    (PastOutcome.DENIED, Outcome.REVIEW): Change.RELEASED,
    (PastOutcome.DENIED, Outcome.ALLOW): Change.RELEASED,
}


class Changed(NamedTuple):
    """A payment that would have gone otherwise."""

    past: PastAttempt
    change: Change
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        operation_id, attempt, *_ = self.past
        return {
            "payment": format_id(PAYMENT, operation_id),
            "change": self.change,
            "amount_minor": attempt.added_minor,
            "currency": attempt.currency,
            "reasons": self.verdict.reasons,
            "rules": [hit.rule for hit in self.verdict.hits],
        }


@dataclass
class Backtest:
    """Sums over all past attempts; amounts in minor units by currency."""

    rule_set: int
    attempts: int = 0
    approved_minor: Counter[str] = field(default_factory=Counter)
    """What was approved then, to compare with."""

    payments: Counter[tuple[str, Change]] = field(default_factory=Counter)
    amounts_minor: Counter[tuple[str, Change]] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    """By rule, those in shadow mode included."""

    without_verdict: int = 0
    """Attempts recorded when there was neither a rule set nor a limit: without card, device, address and country."""

    first: list[Changed] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For machines: `currencies` has, for each change, the payments and their sum."""
        return {
            "rule_set": self.rule_set,
            "attempts": self.attempts,
            "without_verdict": self.without_verdict,
            "currencies": {currency: self._currency(currency) for currency in sorted(self.approved_minor)},
            "hits": dict(self.hits.most_common()),
            "first": [changed.to_json() for changed in self.first],
        }

    def _currency(self, currency: str) -> dict[str, int]:
        changes = {
            f"{change}{suffix}": counted[currency, change]
            for change in Change
            for suffix, counted in (("", self.payments), ("_minor", self.amounts_minor))
        }
        return {"approved_minor": self.approved_minor[currency], **changes}


def backtest(pasts: Iterable[PastAttempt | PastTerms], rules: RuleSet, tier: Tier) -> Backtest:
    """`pasts` in the order of their time; `tier` is that of every account until it is given another."""
    found, accounts, spanning = Backtest(rules.version), dict[bytes, RiskState](), _Spanning(rules)
    unknown = NEW._replace(tier=tier)
    for past in pasts:
        if isinstance(past, PastTerms):
            state = evolve(accounts.get(past.payer, unknown), LimitsSet(past.limits))
            accounts[past.payer] = evolve(state, TierSet(past.tier))
            continue
        attempt = spanning.informed(past.attempt)
        payer = attempt.keys[Key.ACCOUNT]
        state = accounts.get(payer, unknown)
        verdict = assess(state, attempt, rules)
        _count(found, past, verdict)
        approved = past.outcome is not PastOutcome.REFUSED and verdict.outcome is not Outcome.DENY
        keys, just_under = attempt.keys, verdict.just_under_threshold
        fact = Attempted(attempt.time_us, attempt.added_minor, keys, approved, just_under)
        accounts[payer] = evolve(state, fact)
        spanning.observe(fact, attempt.currency)
    return found


class _Spanning:
    """Activities of the keys that span accounts, as far as the rules read them; without the delay of publishing."""

    def __init__(self, rules: RuleSet) -> None:
        self._kinds = rules.spans
        self._names = {feature.name for feature in rules.reads}
        self._activities: defaultdict[tuple[Key, bytes, str], Activity] = defaultdict(lambda: NO_ACTIVITY)

    def informed(self, attempt: Attempt) -> Attempt:
        """The attempt with what would have been published of its keys; what was recorded goes before it."""
        values: dict[str, int] = {}
        for kind in self._kinds:
            if key := attempt.keys[kind]:
                every, in_currency = (self._activities[kind, key, of] for of in (_ALL, attempt.currency))
                values |= published(kind, every, in_currency, attempt.time_us, self._names)
        return attempt._replace(published={**values, **attempt.published})

    def observe(self, fact: Attempted, currency: str) -> None:
        """After the attempt."""
        for kind in self._kinds:
            if key := fact.keys[kind]:
                for of in (_ALL, currency):
                    self._activities[kind, key, of] = observe(self._activities[kind, key, of], kind, fact)


_ALL = ""
"""In place of a currency: all of them."""


def _count(found: Backtest, past: PastAttempt, verdict: Verdict) -> None:
    amount_minor, currency = past.attempt.added_minor, past.attempt.currency
    found.attempts += 1
    found.without_verdict += not past.is_assessed
    found.hits.update(hit.rule for hit in verdict.hits)
    found.approved_minor[currency] += amount_minor if past.outcome is PastOutcome.APPROVED else 0
    change = _CHANGES.get((past.outcome, verdict.outcome))
    if change is None:
        return
    found.payments[currency, change] += 1
    found.amounts_minor[currency, change] += amount_minor
    if len(found.first) < FIRST_SHOWN:
        found.first.append(Changed(past, change, verdict))
