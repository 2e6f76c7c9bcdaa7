"""The one verdict: every reason is reached, the rules of the example each hit, and a slow model agrees."""

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.risk.activity import Attempted
from payments.risk.assess import assess, is_watched
from payments.risk.limits import UNLIMITED, Limits, RiskReason, Tier
from payments.risk.moment import Attempt
from payments.risk.rules import NO_RULES, RuleSet, parse
from payments.risk.signals import Countries
from payments.risk.state import NEW, RiskState, TierSet, decode, encode, evolve
from payments.risk.verdict import UNWATCHED, Effect, Outcome, Verdict
from payments.risk.verdict import decode as decode_verdict
from payments.risk.verdict import encode as encode_verdict
from payments.risk.windows import SPANS
from tests.payments.risk.attempts import (
    ATTEMPT,
    DAY_US,
    HOUR_US,
    KEYS,
    NOON_US,
    PAYER,
    STEPS_US,
    Event,
    inside,
    numbered,
)
from tests.payments.risk.attempts import (
    attempted as fact,
)

EXAMPLE = Path(__file__).parents[3] / "examples" / "risk_rules.yaml"


def rule_set(text: str) -> RuleSet:
    found = parse(text)
    assert isinstance(found, RuleSet), [str(problem) for problem in found]
    return found


def rules_of(*lines: str, tiers: str = "{}") -> RuleSet:
    listed = ", ".join(f"{{{line}, reason: x}}" for line in lines)
    return rule_set(f"version: 9\ntiers: {tiers}\nrules: [{listed}]")


NO_LINES = rule_set("version: 9\nrules: []")
ONLY_BASIC = "{basic: {EUR: {daily: 60.00}}, enhanced: {EUR: {daily: 60.00}}}"


@pytest.mark.parametrize(
    ("state", "rules", "outcome", "reasons"),
    [
        (NEW._replace(limits=Limits(per_transaction_minor=49_99)), NO_RULES, "DENY", ["PER_TRANSACTION_LIMIT"]),
        (NEW._replace(limits=Limits(daily_minor=49_99)), NO_RULES, "DENY", ["DAILY_LIMIT"]),
        (NEW._replace(limits=Limits(monthly_minor=49_99)), NO_LINES, "DENY", ["MONTHLY_LIMIT"]),
        (NEW._replace(limits=Limits(50_00, 50_00, 50_00)), NO_RULES, "ALLOW", []),
        (
            NEW,
            rules_of(tiers=ONLY_BASIC),
            "DENY",
            ["PER_TRANSACTION_LIMIT", "DAILY_LIMIT", "MONTHLY_LIMIT", "VERIFICATION_REQUIRED"],
        ),
        (NEW._replace(tier=Tier.BASIC), rules_of(tiers=ONLY_BASIC), "ALLOW", []),
        (
            NEW._replace(tier=Tier.BASIC, limits=Limits(daily_minor=1)),
            rules_of(tiers=ONLY_BASIC),
            "DENY",
            ["DAILY_LIMIT"],
        ),
        (
            evolve(NEW._replace(tier=Tier.ENHANCED), fact(amount_minor=20_00)),
            rules_of(tiers=ONLY_BASIC),
            "DENY",
            ["DAILY_LIMIT"],
        ),
        (NEW, rules_of("id: a, when: 'true', verdict: deny"), "DENY", ["DENIED_BY_RULE"]),
        (NEW, rules_of("id: a, when: 'true', verdict: review"), "REVIEW", ["REVIEW_BY_RULE"]),
        (NEW, rules_of("id: a, when: 'true', verdict: deny, mode: shadow"), "ALLOW", []),
        (NEW, rules_of("id: a, when: 1 / attempts_1h > 1, verdict: deny"), "REVIEW", ["REVIEW_BY_RULE", "RULE_FAILED"]),
        (NEW, rules_of("id: a, when: 1 / attempts_1h > 1, verdict: deny, mode: shadow"), "ALLOW", []),
        (
            NEW,
            rules_of("id: a, when: 'true', verdict: review", "id: b, when: 'true', verdict: deny"),
            "DENY",
            ["DENIED_BY_RULE", "REVIEW_BY_RULE"],
        ),
        (
            NEW,
            rules_of("id: a, when: 'true', verdict: review", "id: b, when: 'true', verdict: allow, exempts: [a]"),
            "ALLOW",
            [],
        ),
        (
            NEW._replace(limits=Limits(daily_minor=1)),
            rules_of("id: a, when: 'true', verdict: review", "id: b, when: 'true', verdict: allow, exempts: [a]"),
            "DENY",
            ["DAILY_LIMIT"],
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_every_reason_is_reached(state: RiskState, rules: RuleSet, outcome: str, reasons: list[str]) -> None:
    verdict = assess(state, ATTEMPT, rules)
    assert verdict.outcome is Outcome[outcome]
    assert verdict.reasons == tuple(RiskReason[name] for name in reasons)
    assert decode_verdict(encode_verdict(verdict)) == verdict


def test_nothing_is_looked_at_where_nobody_watches() -> None:
    for state in (None, NEW, NEW._replace(tier=Tier.BASIC)):
        assert not is_watched(state, NO_RULES)
        assert assess(state, ATTEMPT, NO_RULES) is UNWATCHED
    assert is_watched(None, NO_LINES)
    assert is_watched(NEW._replace(limits=Limits(daily_minor=1)), NO_RULES)
    assert encode_verdict(assess(None, ATTEMPT, NO_LINES)) != b""


def test_a_denial_by_a_limit_records_what_it_rests_on() -> None:
    state = evolve(NEW._replace(limits=Limits(daily_minor=60_00)), fact(amount_minor=20_00))
    verdict = assess(state, ATTEMPT, NO_RULES)
    assert verdict.features == {
        "amount_minor": 50_00,
        "limit_per_transaction_minor": UNLIMITED.per_transaction_minor,
        "limit_daily_minor": 60_00,
        "limit_monthly_minor": UNLIMITED.monthly_minor,
        "spent_today_minor": 20_00,
        "spent_this_month_minor": 20_00,
    }


class Told(NamedTuple):
    """An attempt at the rules of the example, and what happened before it."""

    history: tuple[Attempted, ...] = ()
    attempt: Attempt = ATTEMPT
    tier: Tier = Tier.ENHANCED


def before(ago_us: int, *, just_under: bool = False) -> Attempted:
    return Attempted(NOON_US - ago_us, 50_00, KEYS, approved=True, just_under_threshold=just_under)


def published(**values: int) -> Attempt:
    return ATTEMPT._replace(published=values)


def abroad(amount_minor: int) -> Attempt:
    return ATTEMPT._replace(amount_minor=amount_minor, countries=Countries(card="DE", ip="FR"))


REGULAR = tuple(before(day * DAY_US) for day in range(10, 0, -1))
EMBARGOED = ATTEMPT._replace(countries=Countries(payee="KP"))
STRUCTURED = ATTEMPT._replace(amount_minor=9_500_00)
REACHED = {
    "embargoed-country": (Told(attempt=EMBARGOED), Told(attempt=ATTEMPT._replace(countries=Countries(payee="KR")))),
    "card-testing": (
        Told(attempt=published(card_attempts_1h=3)),
        Told(attempt=published(card_attempts_1h=3, card_approvals_1h=1)),
    ),
    "card-velocity": (Told(attempt=published(card_attempts_10m=4, card_approvals_1h=9)), Told(REGULAR)),
    "cards-of-one-address": (
        Told(attempt=published(ip_distinct_cards_1h=11)),
        Told(attempt=published(ip_distinct_cards_1h=10)),
    ),
    "cards-of-one-device": (
        Told(attempt=published(device_distinct_cards_24h=4)),
        Told(attempt=published(device_distinct_cards_24h=3)),
    ),
    "countries-differ": (Told(attempt=abroad(200_00)), Told(attempt=abroad(199_99))),
    "structuring": (
        Told((before(2 * HOUR_US, just_under=True), before(HOUR_US, just_under=True)), STRUCTURED),
        Told((before(2 * HOUR_US), before(HOUR_US, just_under=True)), STRUCTURED),
    ),
    "dormant-burst": (
        Told((before(100 * DAY_US), *[before(HOUR_US)] * 3)),
        Told((before(100 * DAY_US), *[before(HOUR_US)] * 2)),
    ),
    "new-payee": (
        Told(attempt=ATTEMPT._replace(amount_minor=1_000_00)),
        Told((before(HOUR_US),), ATTEMPT._replace(amount_minor=1_000_00)),
    ),
    "emptied-to-a-new-payee": (
        Told(attempt=ATTEMPT._replace(available_minor=55_00)),
        Told(attempt=ATTEMPT._replace(available_minor=56_00)),
    ),
    "mule": (
        Told(attempt=published(payee_distinct_accounts_24h=21, payee_attempted_minor_24h=10_000_01)),
        Told(attempt=published(payee_distinct_accounts_24h=21, payee_attempted_minor_24h=10_000_00)),
    ),
    "known-customer-abroad": (Told(REGULAR, abroad(200_00)), Told(REGULAR, abroad(200_00), Tier.BASIC)),
}


def told(story: Told) -> Verdict:
    state = evolve(NEW, TierSet(story.tier))
    for one in story.history:
        state = evolve(state, one)
    return assess(state, story.attempt, rule_set(EXAMPLE.read_text()))


@pytest.mark.parametrize("rule", REACHED)
def test_each_rule_of_the_example_hits_and_one_less_does_not(rule: str) -> None:
    hit, missed = (told(story) for story in REACHED[rule])
    assert rule in {one.rule for one in hit.hits}
    assert rule not in {one.rule for one in missed.hits}
    assert decode_verdict(encode_verdict(hit)) == hit


def test_the_example_has_a_story_for_every_rule_and_shows_every_effect() -> None:
    rules = rule_set(EXAMPLE.read_text())
    assert [rule.id for rule in rules.rules] == list(REACHED)
    hits = [hit for reaching, _ in REACHED.values() for hit in told(reaching).hits]
    assert {hit.effect for hit in hits} == set(Effect)
    assert {hit.outcome for hit in hits} == set(Outcome)
    assert told(REACHED["known-customer-abroad"][0]).outcome is Outcome.ALLOW
    assert told(REACHED["known-customer-abroad"][1]).outcome is Outcome.REVIEW


READING = rules_of(
    "id: sums, when: approved_minor_24h > 100 && attempted_minor_30d > 1000 || approvals_10m > 3, verdict: review",
    "id: counts, when: attempts_1h > 2 && distinct_payees_24h > 2, verdict: deny",
    "id: payee, when: payee_is_new && spent_today_minor > 50, verdict: review",
)


@given(st.lists(st.tuples(STEPS_US, st.integers(1, 200), st.integers(0, 5), st.booleans()), max_size=25), STEPS_US)
def test_a_verdict_rests_on_the_list_of_what_happened(steps: list[tuple[int, int, int, bool]], wait_us: int) -> None:
    """Also after the state was stored and read again at every step."""
    time_us, happened, payees, state = NOON_US, list[Event](), list[bytes](), encode(NEW)
    for step_us, amount_minor, payee, approved in steps:
        time_us += step_us
        payees.append(payee.to_bytes(8, "big"))
        happened.append(Event(time_us, amount_minor, approved))
        keys = (PAYER, payees[-1], b"", b"", b"")
        state = encode(evolve(decode(state), Attempted(time_us, amount_minor, keys, approved)))
    now_us = time_us + wait_us
    verdict = assess(
        decode(state), Attempt(now_us, 5, "EUR", (PAYER, payees[0] if payees else b"", b"", b"", b"")), READING
    )
    assert verdict.features == {name: value for name, value in modelled(happened, payees, now_us).items() if value}
    assert verdict.hits == READING.hits(modelled(happened, payees, now_us))


def modelled(happened: list[Event], payees: list[bytes], now_us: int) -> dict[str, int | bool]:
    """The features that READING reads, each by going through the whole list."""
    ten_minutes, hour, day, month = (inside(happened, span, now_us) for span in SPANS)
    five_minutes = numbered((event.time_us for event in happened), 300 * 10**6)
    newest = max([now_us // (300 * 10**6), *five_minutes])
    days = numbered((event.time_us for event in happened), DAY_US)
    today = max([now_us // DAY_US, *days])
    return {
        "approvals_10m": sum(event.approved for event in ten_minutes),
        "attempts_1h": len(hour),
        "approved_minor_24h": sum(event.amount_minor for event in day if event.approved),
        "attempted_minor_30d": sum(event.amount_minor for event in month),
        "distinct_payees_24h": len({p for p, at in zip(payees, five_minutes, strict=True) if at >= newest - 288}),
        "payee_is_new": not any(e.approved for e, p in zip(happened, payees, strict=True) if p == payees[0]),
        "spent_today_minor": sum(
            event.amount_minor for event, at in zip(happened, days, strict=True) if at == today and event.approved
        ),
    }


def test_a_recorded_verdict_can_be_decided_again_from_its_values() -> None:
    """Features that were 0, false or empty are not recorded: the rule set knows which it read."""
    rules = rule_set(EXAMPLE.read_text())
    for story, _ in REACHED.values():
        recorded = decode_verdict(encode_verdict(told(story)))
        values = {feature.name: recorded.features.get(feature.name, feature.type()) for feature in rules.reads}
        assert rules.hits(values) == recorded.hits
