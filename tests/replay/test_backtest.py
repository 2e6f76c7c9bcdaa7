"""A new rule set tried on past payments: what it would have stopped, held and released, in money."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.replay.backtest import FIRST_SHOWN, PastAttempt, PastOutcome, backtest
from payments.risk.limits import Tier
from payments.risk.moment import Attempt
from payments.risk.rules import RuleSet, parse

HOUR_US = 3_600 * 10**6
NOON_US = 1_795_348_800 * 10**6


def rules_of(text: str) -> RuleSet:
    found = parse(f"version: 3\n{text}")
    assert isinstance(found, RuleSet), [str(problem) for problem in found]
    return found


def past(
    hour: int,
    amount_minor: int,
    outcome: PastOutcome = PastOutcome.APPROVED,
    currency: str = "EUR",
    payer: bytes = b"payer..0",
    card: bytes = b"",
) -> PastAttempt:
    keys = (payer, b"payee..0", card, b"", b"")
    attempt = Attempt(NOON_US + hour * HOUR_US, amount_minor, currency, keys)
    return PastAttempt(hour.to_bytes(16, "big"), attempt, outcome)


LARGE = rules_of(
    "rules:\n"
    "  - {id: large, when: amount_minor >= 1000, verdict: deny, reason: x}\n"
    "  - {id: medium, when: amount_minor >= 500, verdict: review, reason: x}\n"
    "  - {id: odd, when: amount_minor % 2 == 1, verdict: deny, mode: shadow, reason: x}\n"
)


def test_money_is_summed_by_currency_and_by_what_changed() -> None:
    pasts = [
        past(0, 1_000),
        past(1, 1_001),
        past(2, 500, currency="USD"),
        past(3, 499),
        past(4, 499, PastOutcome.DENIED),
        past(5, 600, PastOutcome.DENIED),
        past(6, 2_000, PastOutcome.DENIED),
        past(7, 2_000, PastOutcome.REFUSED),
    ]
    found = backtest(pasts, LARGE, Tier.VERIFIED).to_json()
    nothing = {"stopped": 0, "stopped_minor": 0, "held": 0, "held_minor": 0, "released": 0, "released_minor": 0}
    assert found["currencies"] == {
        "EUR": nothing
        | {"approved_minor": 2_500, "stopped": 2, "stopped_minor": 2_001, "released": 2, "released_minor": 1_099},
        "USD": nothing | {"approved_minor": 500, "held": 1, "held_minor": 500},
    }
    assert found["hits"] == {"large": 4, "medium": 6, "odd": 3}
    assert (found["rule_set"], found["attempts"]) == (3, 8)
    assert [one["change"] for one in found["first"]] == ["stopped", "stopped", "held", "released", "released"]
    assert found["first"][1]["rules"] == ["large", "medium", "odd"]


def test_what_the_new_rules_stop_is_an_attempt_and_spends_nothing() -> None:
    rules = rules_of("tiers: {basic: {EUR: {daily: 10.00}}}\nrules: []")
    found = backtest([past(0, 900), past(1, 200), past(2, 100), past(3, 100)], rules, Tier.BASIC)
    assert [changed.past.attempt.amount_minor for changed in found.first] == [200, 100]


@pytest.mark.parametrize(("payers", "stopped"), [(3, 1), (2, 0)])
def test_what_spans_accounts_is_counted_from_the_past_itself(payers: int, stopped: int) -> None:
    rules = rules_of("rules:\n  - {id: mule, when: payee_distinct_accounts_24h >= 3, verdict: deny, reason: x}")
    pasts = [past(hour, 1, payer=bytes([hour]) * 8) for hour in range(payers)]
    found = backtest([*pasts, past(23, 1, payer=b"A" * 8)], rules, Tier.BASIC)
    assert found.hits["mule"] == stopped


def test_sums_that_span_accounts_are_of_one_currency() -> None:
    rules = rules_of(
        "rules:\n"
        "  - {id: sum, when: card_attempted_minor_24h >= 500, verdict: deny, reason: x}\n"
        "  - {id: count, when: card_attempts_24h >= 2, verdict: review, reason: x}\n"
    )
    card = b"card...0"
    pasts = [past(0, 500, currency="USD", card=card), past(1, 400, card=card), past(2, 100, card=card)]
    assert backtest([*pasts, past(3, 1)], rules, Tier.BASIC).hits == {"count": 1}
    assert backtest([*pasts, past(3, 1, card=card)], rules, Tier.BASIC).hits == {"count": 2, "sum": 1}


def test_what_was_recorded_as_published_goes_before_what_is_counted() -> None:
    rules = rules_of("rules:\n  - {id: a, when: card_attempts_1h >= 7, verdict: deny, reason: x}")
    recorded = past(0, 1, card=b"card...0")
    recorded = recorded._replace(attempt=recorded.attempt._replace(published={"card_attempts_1h": 7}))
    assert backtest([recorded], rules, Tier.BASIC).hits == {"a": 1}


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from(PastOutcome)), max_size=60))
def test_sums_are_those_of_a_list_gone_through(drawn: list[tuple[int, PastOutcome]]) -> None:
    """At most 100 in three payments of an hour: a rule on history, in which what is stopped does not count."""
    rules = rules_of("rules:\n  - {id: a, when: approved_minor_1h + amount_minor > 100, verdict: deny, reason: x}")
    spent, stopped, released = 0, 0, 0
    for amount_minor, outcome in drawn:
        is_denied = spent + amount_minor > 100
        stopped += amount_minor * (is_denied and outcome is PastOutcome.APPROVED)
        released += amount_minor * (not is_denied and outcome is PastOutcome.DENIED)
        spent += amount_minor * (not is_denied and outcome is not PastOutcome.REFUSED)
    pasts = [past(0, amount_minor, outcome) for amount_minor, outcome in drawn]
    found = backtest(pasts, rules, Tier.BASIC)
    assert sum(minor for (_, change), minor in found.amounts_minor.items() if change == "stopped") == stopped
    assert sum(minor for (_, change), minor in found.amounts_minor.items() if change == "released") == released
    assert len(found.first) == min(found.payments.total(), FIRST_SHOWN)
