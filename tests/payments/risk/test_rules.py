"""Rules: what compiles, what is refused with which words, and who is stronger than whom."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.risk.features import FEATURES
from payments.risk.limits import NOTHING_ALLOWED, UNLIMITED, Limits, Tier
from payments.risk.rules import NO_RULES, RuleSet, parse
from payments.risk.verdict import Effect, Hit, Outcome


def rule_set(text: str) -> RuleSet:
    found = parse(text)
    assert isinstance(found, RuleSet), [str(problem) for problem in found]
    return found


def problems(text: str) -> list[str]:
    found = parse(text)
    assert isinstance(found, list), "this should not be a rule set"
    return [str(problem) for problem in found]


def one(when: str, verdict: str = "deny", more: str = "") -> str:
    """A rule on line 3, its condition in a block, which needs no quotes."""
    rule = f"  - id: one\n    when: |-\n      {when}\n    verdict: {verdict}\n    reason: Because\n"
    return f"version: 7\nrules:\n{rule}{more}"


def test_a_rule_set_knows_its_version_its_rules_and_what_they_read() -> None:
    found = rule_set(one("payee_is_new && amount_minor >= 100", "review", "    mode: shadow\n"))
    assert found.version == 7
    assert [(rule.id, rule.outcome, rule.is_shadow) for rule in found.rules] == [("one", Outcome.REVIEW, True)]
    assert [feature.name for feature in found.reads] == ["amount_minor", "payee_is_new"]
    assert found.reasons == {"one": "Because"}


@pytest.mark.parametrize(
    ("condition", "amount_minor", "currency", "holds"),
    [
        ("amount_minor > 10 && amount_minor <= 20", 20, "EUR", True),
        ("amount_minor > 10 && amount_minor <= 20", 21, "EUR", False),
        ("currency in ['USD', \"EUR\"] || amount_minor < 5", 9, "EUR", True),
        ("!(currency == 'EUR') ? amount_minor % 2 == 0 : amount_minor / 10 * 10 != amount_minor", 11, "EUR", True),
        ("currency.startsWith('E') && currency.endsWith('R') && !currency.contains('X')", 1, "EUR", True),
        ("-amount_minor + 5 - 2 * 3 < 0", 1, "EUR", True),
        ("true", 1, "EUR", True),
    ],
)
def test_the_language_of_rules(condition: str, amount_minor: int, currency: str, holds: bool) -> None:
    hits = rule_set(one(condition)).hits({"amount_minor": amount_minor, "currency": currency})
    assert hits == ((Hit("one", Outcome.DENY),) if holds else ())


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("amount_minor > 1.5", "character 16: '1.5' is not in the language of rules"),
        ("amount_minor > 1u", "'1u' is not in the language"),
        ("[1, 2].all(amount_minor, amount_minor > 1)", "'.all(amount_minor, a' is not in the language"),
        ("[1].map(amount_minor, 1) == [1]", "'.map(amount_minor, 1'"),
        ("currency.matches('E')", "character 9: \".matches('E')\" is not in the language"),
        ("size(currency) > 2", "'size(currency)"),
        ("int (currency) > 2", "'int (currency)"),
        ("{'a': 1} == {'a': 1}", "character 1: "),
        ("currency == 'a\\'b'", "character 13: "),
        ("currency == b'EUR'", "character 13: "),
        ("amount_minor >", "does not compile: Failed to parse expression"),
        ("((amount_minor > 1)", "does not compile"),
        ("amont_minor > 1 || other", "reads amont_minor, other, which no payment has: docs/risk.md"),
        ("amount_minor", "gives 0 and not true or false"),
        ("currency > 3", "cannot be evaluated: No such overload"),
        ("amount_minor > 9223372036854775808", "does not compile"),
        ("(" * 17 + "true" + ")" * 17, "character 17: more than 16 brackets are open"),
        ("true == " * 9 + "([" * 9, "more than 16 brackets are open"),
    ],
)
def test_a_condition_that_is_refused_says_why(condition: str, complaint: str) -> None:
    [found] = problems(one(condition))
    assert found.startswith("line 3: rule one: `when`")
    assert complaint in found


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ("  - {id: one, when: 'true', verdict: deny, reason: x}", "line 8: rule one: another rule has this id"),
        ("  - {id: b, when: 'true', verdict: allow, reason: x}", "line 8: rule b: allows nothing"),
        ("  - {id: b, when: 'true', verdict: deny, reason: x, exempts: [a]}", "rule b: only an allow rule"),
        (
            "  - {id: b, when: 'true', verdict: allow, reason: x, exempts: [c]}",
            "rule b: exempts 'c', which is no review",
        ),
        ("  - {id: b, when: 'true', verdict: allow, reason: x, exempts: [one]}", "rule b: exempts 'one', which is no"),
    ],
)
def test_names_that_do_not_fit_each_other(more: str, complaint: str) -> None:
    assert any(complaint in found for found in problems(one("true") + more))


def test_every_problem_is_named_at_once_in_order() -> None:
    rules = "".join(f"  - {{id: r{n}, when: 'nothing{n} > 1', verdict: deny, reason: x}}\n" for n in range(3))
    assert [found.split(":")[:2] for found in problems("version: 1\nrules:\n" + rules)] == [
        ["line 3", " rule r0"],
        ["line 4", " rule r1"],
        ["line 5", " rule r2"],
    ]


VERDICTS = ("allow", "review", "deny")


def slow_hits(rules: RuleSet, held: set[str]) -> Iterator[Hit]:
    """The order of strength, read aloud: an active allow that holds sets aside the active reviews that it names."""
    by_id = {rule.id: rule for rule in rules.rules}
    set_aside = set[str]()
    for name in held:
        if by_id[name].outcome is Outcome.ALLOW and not by_id[name].is_shadow:
            set_aside |= by_id[name].exempts
    for rule in rules.rules:
        if rule.id in held:
            effect = Effect.EXEMPTED if rule.id in set_aside else Effect.ACTIVE
            yield Hit(rule.id, rule.outcome, Effect.SHADOW if rule.is_shadow else effect)


@given(
    st.lists(st.tuples(st.sampled_from(VERDICTS), st.booleans(), st.sets(st.integers(0, 11))), max_size=12), st.data()
)
def test_what_hits_equals_the_order_of_strength_read_aloud(
    drawn: list[tuple[str, bool, set[int]]], choice: st.DataObject
) -> None:
    reviews = {index for index, (verdict, _, _) in enumerate(drawn) if verdict == "review"}
    lines = []
    for index, (verdict, is_shadow, named) in enumerate(drawn):
        exempts = sorted(f"r{other}" for other in named & reviews) if verdict == "allow" else []
        mode = "shadow" if is_shadow else "active"
        if verdict == "allow" and not exempts:
            verdict = "deny"
        lines.append(
            f"  - {{id: r{index}, when: 'hour_utc / {10**index} % 10 == 1', verdict: {verdict}, mode: {mode},"
            f" reason: x, exempts: [{', '.join(exempts)}]}}"
        )
    rules = rule_set("version: 1\nrules:\n" + "\n".join(lines) if lines else "version: 1\nrules: []")
    held = choice.draw(st.sets(st.integers(0, len(drawn) - 1))) if drawn else set()
    number = sum(10**index for index in held)
    assert list(rules.hits({"hour_utc": number})) == list(slow_hits(rules, {f"r{index}" for index in held}))


def test_a_rule_that_fails_asks_for_a_review() -> None:
    rules = rule_set(
        "version: 1\nrules:\n"
        "  - {id: review, when: 'true', verdict: review, reason: x}\n"
        "  - {id: divided, when: '1 / attempts_1h > 1', verdict: deny, reason: x}\n"
        "  - {id: overflowing, when: 'amount_minor * 9223372036854775807 > 1', verdict: allow, reason: x,"
        " exempts: [review]}\n"
        "  - {id: mixed, when: 'amount_minor == 2 ? currency : true', verdict: deny, reason: x}\n"
        "  - {id: watched, when: '1 % attempts_1h > 1', verdict: deny, reason: x, mode: shadow}\n"
    )
    assert rules.hits({"attempts_1h": 0, "amount_minor": 2, "currency": "EUR"}) == (
        Hit("review", Outcome.REVIEW),
        Hit("divided", Outcome.REVIEW, failed=True),
        Hit("overflowing", Outcome.REVIEW, failed=True),
        Hit("mixed", Outcome.REVIEW, failed=True),
        Hit("watched", Outcome.REVIEW, Effect.SHADOW, failed=True),
    )


def test_a_tier_or_currency_that_is_not_listed_may_pay_nothing() -> None:
    tiers = "tiers:\n  basic:\n    EUR: {daily: 12.34}\n    JPY: {per_transaction: 100, monthly: 0}\n    KWD: {}\n"
    rules = rule_set("version: 1\nrules: []\n" + tiers)
    assert rules.tier_limits(Tier.BASIC, "EUR") == Limits(daily_minor=1_234)
    assert rules.tier_limits(Tier.BASIC, "JPY") == Limits(per_transaction_minor=100, monthly_minor=0)
    assert rules.tier_limits(Tier.BASIC, "KWD") == UNLIMITED
    assert rules.tier_limits(Tier.BASIC, "USD") == NOTHING_ALLOWED
    assert rules.tier_limits(Tier.ENHANCED, "EUR") == NOTHING_ALLOWED
    assert NO_RULES.tier_limits(Tier.UNVERIFIED, "EUR") == UNLIMITED


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_may_be_read(name: str) -> None:
    sample = {int: "1", bool: "true", str: "'EUR'"}[FEATURES[name].type]
    assert rule_set(one(f"{name} == {sample}")).reads == (FEATURES[name],)
