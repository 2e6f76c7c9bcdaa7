"""Assess a payment: limits, then rules, one verdict. Called where the payment is decided, before anything is reserved.

Reads the account's risk state, the attempt and the rule set in force, and changes none of them. The state moves on by
`state.evolve` with `verdict.attempted(…)`, from what the ledger entry records. Where there is neither a rule set nor a
limit nothing is computed, recorded or kept; windows begin with the first rule set, or with the account's first limit.
"""

from payments.risk.features import FEATURES
from payments.risk.limits import UNLIMITED, Limits, RiskReason, Tier, lower, refusals
from payments.risk.moment import Attempt, Moment
from payments.risk.rules import NO_RULES, RuleSet
from payments.risk.signals import is_just_under
from payments.risk.state import NEW, RiskState
from payments.risk.verdict import UNWATCHED, Effect, Hit, Outcome, Verdict, tokens_of

LIMIT_FEATURES = tuple(
    FEATURES[name]
    for name in (
        "amount_minor",
        "kyc_tier",
        "limit_per_transaction_minor",
        "limit_daily_minor",
        "limit_monthly_minor",
        "spent_today_minor",
        "spent_this_month_minor",
    )
)
"""Recorded where a limit denies, so that the verdict explains itself."""


def is_watched(state: RiskState | None, rules: RuleSet) -> bool:
    """False where `assess` would not look at the payment: no rule set, and no limit of the account's own."""
    return rules is not NO_RULES or (state is not None and state.limits != UNLIMITED)


def assess(state: RiskState | None, attempt: Attempt, rules: RuleSet) -> Verdict:
    """May this payment pass? Deny over review over allow; every limit and rule is looked at, so that all reasons are
    named.

    `state` is None where nothing is recorded of the account.
    """
    if not is_watched(state, rules):
        return UNWATCHED
    state = state or NEW
    if attempt.time_us < state.habits.last_attempt_us:  # as in `evolve`: time never runs backwards
        attempt = attempt._replace(time_us=state.habits.last_attempt_us)
    tier_limits = rules.tier_limits(state.tier, attempt.currency)
    limits = lower(state.limits, tier_limits)
    denials = _denials(state, limits, tier_limits, attempt)
    threshold_minor = rules.reporting_thresholds_minor.get(attempt.currency)
    moment = Moment(attempt, state, limits, threshold_minor)
    values = {feature.name: feature.read(moment) for feature in rules.reads}
    hits = rules.hits(values)
    outcome, reasons = _judged(denials, hits)
    if denials:
        values |= {feature.name: feature.read(moment) for feature in LIMIT_FEATURES}
    return Verdict(
        outcome,
        reasons,
        rules.version,
        hits,
        {name: value for name, value in values.items() if value},
        tokens_of(attempt.keys),
        is_just_under(attempt.amount_minor, threshold_minor),
    )


def _denials(state: RiskState, limits: Limits, tier_limits: Limits, attempt: Attempt) -> tuple[RiskReason, ...]:
    """Limits that the payment is above; whether those of a tier that can be left by a verification are among them."""
    asked = attempt.amount_minor, attempt.time_us, attempt.before_minor
    found = refusals(limits, state.usage, *asked)
    if not found or state.tier is Tier.ENHANCED:
        return found
    by_tier = refusals(tier_limits, state.usage, *asked)
    return (*found, RiskReason.VERIFICATION_REQUIRED) if by_tier else found


def _judged(denials: tuple[RiskReason, ...], hits: tuple[Hit, ...]) -> tuple[Outcome, tuple[RiskReason, ...]]:
    active = [hit for hit in hits if hit.effect is Effect.ACTIVE]
    outcomes = {hit.outcome for hit in active}
    reasons = list(denials)
    if Outcome.DENY in outcomes:
        reasons.append(RiskReason.DENIED_BY_RULE)
    if Outcome.REVIEW in outcomes:
        reasons.append(RiskReason.REVIEW_BY_RULE)
    if any(hit.failed for hit in active):
        reasons.append(RiskReason.RULE_FAILED)
    strongest = max(outcomes, default=Outcome.ALLOW)
    return Outcome.DENY if denials else strongest, tuple(reasons)
