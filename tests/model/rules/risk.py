"""Limits, a few rules, and reviews: may a payment pass, does it wait for people, or is it refused.

The rule sets of a run are made by `RuleSet.text`, whose first line says in plain numbers what its conditions say in
their language; the model reads the numbers. What a verdict records of features is tested in tests/payments/risk.
"""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from payments.accounts import AccountStatus
from payments.commands import NO_REPLY
from payments.entries import EntryKind
from payments.identifiers import is_system
from payments.items import details
from payments.items.details import RULES_OWNER, Cause, CauseKind, Detail, Legs, RiskTerms
from payments.movements.instructions import AssessTransfer, DecideReview, SetLimits, SetRules
from payments.rejections import Reason
from payments.risk.limits import NO_LIMIT, RiskReason, Tier
from payments.risk.verdict import Outcome
from tests.model.rules.effects import Effect, Judged, Parties
from tests.model.rules.movements import cannot_give, cannot_pay, credit_of, is_amount
from tests.model.rules.state import HOUR_US, Hold, Review, State, hold_item, review_item

DAY_US = 24 * HOUR_US
_NUMBERS = re.compile(
    r"# version (\d+) denies above (\d+) reviews above (\d+) fails at (\d+) four eyes (\d+) daily (\d+)"
)
LIMIT_REASONS = (RiskReason.PER_TRANSACTION_LIMIT, RiskReason.DAILY_LIMIT, RiskReason.MONTHLY_LIMIT)


class RuleSet(NamedTuple):
    """Amounts in minor units of any currency; the last two concern euro alone."""

    version: int
    denies_above: int
    reviews_above: int
    fails_at: int
    four_eyes_from: int
    unverified_daily: int
    """0: no tiers."""

    @property
    def text(self) -> str:
        """As its author would write it."""
        euro = "{EUR: {}, USD: {}, JPY: {}}"
        daily = f"{{EUR: {{daily: {_euro(self.unverified_daily)}}}, USD: {{}}, JPY: {{}}}}"
        tiers = f"tiers: {{unverified: {daily}, basic: {euro}, verified: {euro}, enhanced: {euro}}}"
        return f"""# version {self[0]} denies above {self[1]} reviews above {self[2]} fails at {self[3]} \
four eyes {self[4]} daily {self[5]}
version: {self.version}
reporting_thresholds: {{EUR: {_euro(self.four_eyes_from)}}}
{tiers if self.unverified_daily else ""}
rules:
  - {{id: large, when: amount_minor > {self.denies_above}, verdict: deny, reason: large}}
  - {{id: middle, when: amount_minor > {self.reviews_above}, verdict: review, reason: middle}}
  - {{id: broken, when: 1 / (amount_minor - {self.fails_at}) > 1, verdict: review, reason: broken}}
  - {{id: watched, when: amount_minor > 0, verdict: deny, reason: tried, mode: shadow}}
  - {{id: busy, when: device_attempts_30d > 3, verdict: deny, reason: busy, mode: shadow}}
"""


def _euro(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"


def set_limits(state: State, _: bytes, asked: SetLimits, __: int) -> Effect | Reason:
    """Of an account that is not closed."""
    account = state.accounts.get(asked.account)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.standing is AccountStatus.CLOSED:
        return Reason.ACCOUNT_CLOSED
    limits = (asked.per_transaction_minor, asked.daily_minor, asked.monthly_minor)
    if min(limits) < 0 or max(limits) > NO_LIMIT:
        return Reason.AMOUNT_INVALID
    account.limits, account.tier = limits, asked.tier
    parties = Parties(asked.account, currency=account.currency)
    return Effect(EntryKind.LIMITS_SET, parties, asked.account, (RiskTerms(*limits, asked.tier),))


def set_rules(state: State, _: bytes, asked: SetRules, __: int) -> Effect | Reason:
    """At one place, where it is newer than what is in force there."""
    numbers = _NUMBERS.match(asked.text)
    if numbers is None or int(numbers[1]) <= state.rules.get(asked.shard, (0, ""))[0]:
        return Reason.RULES_INVALID
    state.rules[asked.shard] = int(numbers[1]), asked.text
    item = details.Rules(RULES_OWNER, RULES_OWNER, int(numbers[1]), asked.text)
    return Effect(EntryKind.RULES_SET, Parties(RULES_OWNER), details=(item,))


def assessed(
    state: State, operation_id: bytes, parties: Parties, effect: Effect | Reason, time_us: int
) -> Effect | Reason:
    """What becomes of a payment whose money is set aside already, or that is refused."""
    account = state.accounts.get(parties.debit)
    rules = _rules_at(state, parties.debit)
    if account is None or account.currency != parties.currency or not is_amount(parties.amount):
        return effect
    if rules is None and account.limits == (NO_LIMIT,) * 3:
        return effect
    account.newest_attempt_us = max(account.newest_attempt_us, time_us)
    judged = _judged(account.limits, _tier_limits(rules, account.tier, parties.currency), state, parties, rules)
    if isinstance(effect, Reason):
        return _refused(parties, effect, judged)
    if judged.outcome is Outcome.ALLOW:
        account.spent.append((account.newest_attempt_us, parties.amount))
        return effect._replace(details=(*effect.details, judged))
    reason = Reason(judged.reasons[0])
    if judged.outcome is Outcome.DENY or effect.kind is not EntryKind.RESERVED:
        _undo(state, operation_id, effect)
        return _refused(parties, reason, judged)
    account.spent.append((account.newest_attempt_us, parties.amount))
    return _held(state, operation_id, effect, judged, reason, time_us)


def raised(state: State, hold: Hold, added: int, time_us: int, *, is_possible: bool) -> Judged | None:
    """A hold that is raised is one payment, however often: what it was before counts, but for the day and the month.
    None where nobody looks.
    """
    account, rules = state.accounts[hold.payer], _rules_at(state, hold.payer)
    if rules is None and account.limits == (NO_LIMIT,) * 3:
        return None
    account.newest_attempt_us = max(account.newest_attempt_us, time_us)
    before = hold.amount + hold.captured
    whole = Parties(hold.payer, hold.payee, before + added, hold.currency)
    judged = _judged(account.limits, _tier_limits(rules, account.tier, hold.currency), state, whole, rules, before)
    if is_possible and judged.outcome is Outcome.ALLOW:
        account.spent.append((account.newest_attempt_us, added))
    return judged


def _undo(state: State, operation_id: bytes, effect: Effect) -> None:
    """As if it had not been tried. Of a payout nothing is set aside before its account is asked."""
    if effect.kind is EntryKind.JOURNAL_OPENED:
        del state.journals[operation_id], state.requests[operation_id]
    else:
        state.holds.pop(operation_id, None)
        state.move(effect.parties.debit, effect.parties.amount)


def advised(state: State, _: bytes, asked: AssessTransfer, time_us: int) -> Effect:
    """What would be said of this transfer now; nothing comes of it."""
    parties = Parties(asked.payer, asked.payee, asked.amount_minor, asked.currency)
    refusal = cannot_pay(state, parties)
    told: tuple[Judged, ...] = ()
    reason = refusal or Reason.NONE
    account, rules = state.accounts.get(asked.payer), _rules_at(state, asked.payer)
    is_watched = account is not None and (rules is not None or account.limits != (NO_LIMIT,) * 3)
    if is_watched and account is not None and account.currency == asked.currency and is_amount(asked.amount_minor):
        before, account.newest_attempt_us = account.newest_attempt_us, max(account.newest_attempt_us, time_us)
        of_tier = _tier_limits(rules, account.tier, asked.currency)
        told = (_judged(account.limits, of_tier, state, parties, rules),)
        account.newest_attempt_us = before
        if refusal is None and told[0].outcome is not Outcome.ALLOW:
            reason = Reason(told[0].reasons[0])
    return Effect(EntryKind.ADVISED, parties, asked.payer, told, reason=reason)


def _held(state: State, operation_id: bytes, effect: Effect, judged: Judged, reason: Reason, time_us: int) -> Effect:
    payer, payee, amount, currency = effect.parties
    legs = next((detail.legs for detail in effect.details if isinstance(detail, Legs)), ())
    rules = _rules_at(state, payer)
    needed = 2 if rules is not None and currency == "EUR" and amount >= rules.four_eyes_from else 1
    hold = Hold(payer, payee, amount, 0, currency, time_us + DAY_US, is_review=True)
    review = Review(payer, legs, needed)
    state.holds[operation_id], state.reviews[operation_id] = hold, review
    items = (hold_item(operation_id, hold), review_item(operation_id, review), judged)
    return Effect(EntryKind.HELD, effect.parties, payer, items, reason=reason)


def decide_review(state: State, _: bytes, asked: DecideReview, time_us: int) -> Effect | Reason:
    """Each analyst once; one who declines is enough."""
    review, hold = state.reviews.get(asked.hold_id), state.holds.get(asked.hold_id)
    if review is None or hold is None or review.payer != asked.payer:
        return Reason.REVIEW_NOT_FOUND
    if time_us >= hold.expires_at_us:
        return Reason.REVIEW_EXPIRED
    if asked.analyst in review.approved_by:
        return Reason.REVIEWER_REPEATED
    cause = Cause(CauseKind.REVIEW, asked.hold_id, asked.analyst.hex())
    if not asked.is_approved:
        return ended(state, asked.hold_id, Reason.REVIEW_DECLINED, cause)
    refusal = cannot_give(state, hold.payer, 0, hold.currency)
    if refusal is not None:
        return refusal
    review.approved_by = (*review.approved_by, asked.analyst)
    if len(review.approved_by) < review.needed:
        noted = (cause, review_item(asked.hold_id, review))
        return Effect(EntryKind.NOTED, Parties(asked.payer), details=noted)
    del state.holds[asked.hold_id], state.reviews[asked.hold_id]
    parties = Parties(hold.payer, hold.payee, hold.amount, hold.currency)
    hold.captured = hold.amount
    posted: tuple[Detail, ...] = (Legs(review.legs), cause) if review.legs else (cause,)
    items = (hold_item(asked.hold_id, hold, is_open=False), review_item(asked.hold_id, review, is_open=False))
    message = credit_of(asked.hold_id, parties, NO_REPLY, *posted)
    return Effect(EntryKind.CAPTURED, parties, hold.payer, (*posted, *items), messages=(message,))


def ended(state: State, hold_id: bytes, reason: Reason, cause: Cause) -> Effect:
    """Declined, or nobody decided for a day: the payer has it again."""
    hold, review = state.holds.pop(hold_id), state.reviews.pop(hold_id)
    state.move(hold.payer, hold.amount)
    items = (cause, hold_item(hold_id, hold, is_open=False), review_item(hold_id, review, is_open=False))
    parties = Parties(hold.payer, hold.payee, hold.amount, hold.currency)
    return Effect(EntryKind.RELEASED, parties, hold.payer, items, reason=reason)


def _judged(
    own: tuple[int, ...],
    of_tier: tuple[int, ...],
    state: State,
    parties: Parties,
    rules: RuleSet | None,
    spent: int = 0,
) -> Judged:
    """Every limit and rule is looked at. `spent` of the amount counts for its day already."""
    account, amount = state.accounts[parties.debit], parties.amount
    limits = list(zip(LIMIT_REASONS, own, of_tier, strict=True))
    reasons = [reason for reason, one, other in limits if _above(state, parties, reason, min(one, other), spent)]
    by_tier = any(_above(state, parties, reason, limit, spent) for reason, _, limit in limits)
    denied, reviewed = bool(reasons), False
    if by_tier and account.tier is not Tier.ENHANCED:
        reasons.append(RiskReason.VERIFICATION_REQUIRED)
    if rules is not None and amount > rules.denies_above:
        denied = True
        reasons.append(RiskReason.DENIED_BY_RULE)
    if rules is not None and (amount > rules.reviews_above or amount == rules.fails_at):
        reviewed = True
        reasons.append(RiskReason.REVIEW_BY_RULE)
    if rules is not None and amount == rules.fails_at:
        reasons.append(RiskReason.RULE_FAILED)
    return Judged(Outcome.DENY if denied else Outcome.REVIEW if reviewed else Outcome.ALLOW, tuple(reasons))


def _above(state: State, parties: Parties, reason: RiskReason, limit: int, before: int) -> bool:
    if limit == NO_LIMIT:
        return False
    account = state.accounts[parties.debit]
    now = account.newest_attempt_us
    spent = {
        RiskReason.PER_TRANSACTION_LIMIT: 0,
        RiskReason.DAILY_LIMIT: sum(amount for at, amount in account.spent if _day(at) == _day(now)),
        RiskReason.MONTHLY_LIMIT: sum(amount for at, amount in account.spent if _month(at) == _month(now)),
    }
    asked = parties.amount if reason is RiskReason.PER_TRANSACTION_LIMIT else parties.amount - before
    return spent[reason] + asked > limit


def _tier_limits(rules: RuleSet | None, tier: Tier, currency: str) -> tuple[int, int, int]:
    if rules is None or not rules.unverified_daily or tier is not Tier.UNVERIFIED or currency != "EUR":
        return NO_LIMIT, NO_LIMIT, NO_LIMIT
    return NO_LIMIT, rules.unverified_daily, NO_LIMIT


def _rules_at(state: State, payer: bytes) -> RuleSet | None:
    if is_system(payer):
        return None
    _, text = state.rules.get(state.home(payer), (0, ""))
    numbers = _NUMBERS.match(text)
    return RuleSet(*map(int, numbers.groups())) if numbers else None


def _refused(parties: Parties, reason: Reason, judged: Judged) -> Effect:
    return Effect(EntryKind.REJECTED, parties, parties.debit, (judged,), reason=reason)


def _day(time_us: int) -> int:
    return time_us // DAY_US


def _month(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m")
