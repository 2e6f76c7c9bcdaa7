"""A rule set document whose form is wrong: the line, the rule and what to do."""

import pytest

from payments.risk.document import MAX_DOCUMENT_CHARS, Document, Problem, read_document

RULE = "  - id: a\n    when: amount_minor > 1\n    verdict: deny\n    reason: Because\n"


def complaints(text: str) -> list[str]:
    found = read_document(text)
    assert isinstance(found, list), "this should not be a document"
    return [str(problem) for problem in found]


def test_a_document_is_read_as_it_is_written() -> None:
    text = (
        "version: 3\nreporting_thresholds: {EUR: 10000.00, JPY: '1000000'}\n"
        "tiers: {basic: {EUR: {daily: 1.5}}}\nrules:\n" + RULE
    )
    found = read_document(text)
    assert isinstance(found, Document)
    assert found.version == 3
    assert found.reporting_thresholds_minor == {"EUR": 1_000_000, "JPY": 1_000_000}
    assert [limits.daily_minor for by_currency in found.tiers.values() for limits in by_currency.values()] == [150]
    assert found.line_of_rule == (5,)


def test_a_word_that_other_yaml_takes_for_a_truth_is_text() -> None:
    found = read_document("version: 1\nrules:\n" + RULE.replace("Because", "no"))
    assert isinstance(found, Document)
    assert found.rules[0].reason == "no"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: Expected `object`, got `null`"),
        ("- 1", "line 1: Expected `object`, got `array`"),
        ("version: 1", "line 1: Object missing required field `rules`"),
        ("rules: []\nversion: soon", "line 2: Expected `int`, got `str` at version"),
        ("rules: []\nversion: 0", "line 2: Expected `int` >= 1 at version"),
        ("version: 1\nrules: [\n", "line 3: this is no YAML"),
        ("version: 1\nrules: *gone", "line 2: this is no YAML: found undefined alias"),
        ("version: 1\n\x07", "this is no YAML"),
        ("[" * 2_000, "this is no YAML"),
        ("version: &a [*a]\nrules: []", "line 1: this is no YAML: found unconstructable recursive node"),
        ('version: "\\U0011ffff"', "this is no YAML: chr() arg not in range"),
        ('version: "\\Uffffffff"', "this is no YAML"),
        ("%YAML " + "9" * 5_000 + ".1", "this is no YAML"),
        ('rules: []\nversion: "\\ud800"', "line 2: this is no YAML: found half a character"),
        ("version: 1\nrules:\n" + RULE.replace("Because", '"\\ud800"'), "this is no YAML: found half a character"),
        ("version: 1\nrules: []\nrule: []", "line 1: Object contains unknown field `rule`"),
        ("version: 1\nversion: 2\nrules: []", "line 2: `version` stands here twice: keep one"),
        ("version: 1\nrules:\n" + RULE + "    when: 'true'\n", "line 7: `when` stands here twice"),
        ("version: 1\nrules:\n" + RULE.replace("when", "whn"), "line 3: rule a: Object"),
        ("version: 1\nrules:\n" + RULE.replace("id: a", "id: A b"), "line 3: rule A b: Expected `str` matching regex"),
        ("version: 1\nrules:\n" + RULE.replace("id: a", "id: A b"), "lower-case letters, digits and hyphens"),
        (
            "version: 1\nrules:\n" + RULE.replace("id: a\n    ", ""),
            "line 3: rule #1: Object missing required field `id`",
        ),
        ("version: 1\nrules:\n" + RULE.replace("deny", "stop"), "line 5: rule a: Invalid enum value 'stop'"),
        ("version: 1\nrules:\n" + RULE.replace("deny", "stop"), "allow, review or deny"),
        ("version: 1\nrules:\n" + RULE + "    mode: on", "line 7: rule a: Invalid enum value 'on'"),
        (
            "version: 1\nrules:\n" + RULE.replace(" 1\n", " 1" * 600 + "\n"),
            "line 4: rule a: Expected `str` of length <=",
        ),
        ("version: 1\nrules:\n" + RULE * 65, "line 3: Expected `array` of length <= 64 at rules"),
        ("version: 1\nrules: []\ntiers: {gold: {}}", "line 3: Invalid enum value 'gold' at key in tiers"),
        ("version: 1\nrules: []\ntiers:\n  basic:\n    EUR:\n      daily: 1.555", "line 6: 1.555 EUR: amount_too_many"),
        ("version: 1\nrules: []\ntiers: {basic: {XAU: {daily: 1}}}", "line 3: XAU is no currency that is paid in"),
        ("version: 1\nrules: []\ntiers: {basic: {XYZ: {}}}", "line 3: XYZ is no currency that is paid in"),
        ("version: 1\nrules: []\nreporting_thresholds: {XYZ: 1}", "line 3: XYZ is no currency that is paid in"),
        ('version: 1\nrules: []\ntiers: {basic: {"EUR\\n": {}}}', "line 3: Expected `str` matching regex"),
        ("? [a]\n: 1", "this is no YAML: found unhashable key"),
        ("version: 1\nrules: []\ntiers: {basic: {EUR: {daily: 1e3}}}", "an amount is written with digits and a point"),
        ("version: 1\nrules: []\nreporting_thresholds: {EUR: -5}", "line 3: Expected `str` matching regex"),
        ("#" * (MAX_DOCUMENT_CHARS + 1), "line 1: 131,073 characters, at most 131,072"),
    ],
    ids=lambda value: value[-40:].replace("\n", " "),
)
def test_what_is_wrong_is_named_with_its_line(text: str, complaint: str) -> None:
    [found] = complaints(text)
    assert complaint in found


def test_several_wrong_amounts_are_all_named() -> None:
    text = "version: 1\nrules: []\ntiers:\n  basic:\n    EUR:\n      daily: 1.555\n      monthly: 999999999999999\n"
    assert read_document(text) == [
        Problem(6, "", "1.555 EUR: amount_too_many_decimals"),
        Problem(7, "", "999999999999999 EUR: amount_too_large"),
    ]
