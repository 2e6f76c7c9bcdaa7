"""`millrace replay --rules`: what of the ledger is a payment to be judged, and the words and codes of the command."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.cli import app
from millrace.replay import command
from millrace.replay.backtest import Backtest, Change, PastAttempt, PastOutcome, PastTerms, backtest
from millrace.replay.past_attempts import attempts_of, tried_on_the_past, unrecorded
from payments.commands import NO_REPLY, Command, CommandKind
from payments.entries import Entry, EntryKind
from payments.items.details import Cause, CauseKind, Hold
from payments.movements.instructions import Attributes, attributed
from payments.postings import clearing_account
from payments.risk.activity import key_of_account
from payments.risk.limits import NO_LIMIT, Limits, RiskReason, Tier
from payments.risk.rules import RuleSet, parse
from runtime.settings import Settings
from schemas.codec.ledger import decode_ledger_record
from tests.audit.pipeline import Pipeline, records_of
from tests.payments.movements.test_limits_of_kinds import KINDS, play_every_kind
from tests.payments.movements.test_reviews import ANNA, BERT, Desk
from tests.payments.scenarios.ledger_of import Books

runner = CliRunner()
RULES = "version: 4\nrules:\n  - {id: large, when: amount_minor >= 500, verdict: deny, reason: Too much}\n"


def rules_of(text: str) -> RuleSet:
    found = parse(text)
    assert isinstance(found, RuleSet), [str(problem) for problem in found]
    return found


def test_payments_by_customers_are_attempts_and_nothing_else_is() -> None:
    books = Books()
    books.play("anna opens EUR\nbert opens EUR\nanna deposits 10.00")
    books.play("anna pays bert 2.50 as rent\nanna pays bert 2.50 as rent\nbert freezes")
    books.play("anna pays bert 8.00\nanna pays bert 7.50\ndeliver\nbert pays anna 1.00")
    found = payments_among(books.entries)
    assert [(past.attempt.amount_minor, past.attempt.available_minor, past.outcome) for past in found] == [
        (2_50, 10_00, PastOutcome.APPROVED),
        (8_00, 7_50, PastOutcome.REFUSED),
        (7_50, 7_50, PastOutcome.APPROVED),
    ]
    entry = next(entry for entry in books.entries if entry.kind is EntryKind.RESERVED)
    first = found[0].attempt
    assert first.keys == (key_of_account(entry.debit_account), key_of_account(entry.credit_account), b"", b"", b"")
    assert (first.time_us, first.currency) == (entry.decided_at_us, "EUR")


def test_what_is_looked_at_live_is_an_attempt_of_the_past_in_the_same_words() -> None:
    """Payouts and holds that were raised were left out; and a refund, which nobody looks at, was an attempt."""
    desk = Desk()
    desk.rule(text=KINDS)
    play_every_kind(desk)
    found = payments_among(desk.entries)
    said = [(past.attempt.kind, past.attempt.amount_minor, past.attempt.added_minor) for past in found]
    assert said == [
        ("hold", 10, 10),
        ("hold", 20, 10),
        ("transfer", 10, 10),
        ("withdrawal", 10, 10),
        ("withdrawal", 11, 11),
        ("payout", 10, 10),
    ]
    tried = backtest(attempts_of(desk.entries), rules_of(KINDS.format(version=2)), Tier.BASIC)
    assert tried.hits == {"held": 2, "sent": 1, "out": 2, "paid": 1}
    assert tried.approved_minor == {"EUR": 61}


def test_a_refund_is_no_attempt_of_its_merchant() -> None:
    desk = Desk()
    refund = desk.pay(10)[0]._replace(details=(Cause(CauseKind.REFUND, ANNA),))
    assert payments_among([refund]) == []


def test_what_risk_denied_is_told_from_other_refusals() -> None:
    """The reason of an entry carries the public code of the risk reason."""
    books = Books()
    books.play("anna opens EUR\nbert opens EUR\nanna pays bert 8.00")
    refused = next(entry for entry in books.entries if entry.kind is EntryKind.REJECTED)
    reason: Any = SimpleNamespace(value=RiskReason.DAILY_LIMIT.value)
    denied = refused._replace(reason=reason)
    outcomes = [past.outcome for past in payments_among([refused, denied])]
    assert outcomes == [PastOutcome.REFUSED, PastOutcome.DENIED]


SHARED_DEVICE = """
version: 7
rules:
  - {id: shared, when: device_distinct_accounts_24h >= 2, verdict: deny, reason: two accounts on one device before}
  - {id: abroad, when: ip_country == 'XX' && kyc_tier < 2, verdict: deny, reason: known too little}
"""


def past_desk() -> Desk:
    """Three payments from one device and two accounts, one from abroad; then the payer is verified, and pays again."""
    desk = Desk()
    desk.command(CommandKind.DEPOSIT, clearing_account("EUR"), BERT, 1_000)
    desk.rule(
        text="version: {version}\nrules: [{{id: a, when: ip_country == '', verdict: deny, reason: x, mode: shadow}}]"
    )
    for payer, payee, country in ((ANNA, BERT, ""), (BERT, ANNA, ""), (ANNA, BERT, ""), (BERT, ANNA, "XX")):
        desk.now_us += 1_000_000
        device = b"tablet 1" if not country else b"phone  2"
        paid = Command(CommandKind.TRANSFER, payer, payee, 10, "EUR", NO_REPLY, f"{desk.now_us}")
        desk.ask(attributed(paid, Attributes(device_key=device, ip_country=country)))
    return desk


def test_what_was_known_of_the_device_and_the_country_then_is_known_to_the_new_rules() -> None:
    desk = past_desk()
    found = backtest(attempts_of(desk.entries), rules_of(SHARED_DEVICE), Tier.BASIC)
    assert found.hits == {"shared": 1, "abroad": 1}
    assert (found.attempts, found.without_verdict) == (4, 0)


def test_an_account_has_the_tier_and_the_limits_that_it_was_given() -> None:
    desk = past_desk()
    assert backtest(attempts_of(desk.entries), rules_of(SHARED_DEVICE), Tier.VERIFIED).hits == {"shared": 1}
    (terms,) = attempts_of([desk.limit(per_transaction=9)])
    assert terms == PastTerms(desk.now_us, key_of_account(ANNA), Limits(9, NO_LIMIT, NO_LIMIT), Tier.BASIC)
    found = backtest([terms, *attempts_of(desk.entries[:-1])], rules_of(SHARED_DEVICE), Tier.VERIFIED)
    assert found.payments == {("EUR", Change.STOPPED): 2}, "both of the limited account"


def payments_among(entries: Iterable[Entry]) -> list[PastAttempt]:
    return [past for past in attempts_of(entries) if isinstance(past, PastAttempt)]


def test_features_that_the_ledger_does_not_have_are_named() -> None:
    when = "card_attempts_1h > 1 || payer_country == 'DE' || distinct_ips_1h > 1 || distinct_countries > 1"
    rules = rules_of(f'version: 1\nrules:\n  - {{id: a, when: "{when} || attempts_1h > 1", verdict: deny, reason: x}}')
    assert unrecorded(rules) == ["payer_country", "distinct_countries"]


RESERVING = EntryKind.RESERVED, EntryKind.HELD, EntryKind.HOLD_RAISED


def test_a_rule_set_is_tried_on_a_real_ledger(pipeline: Pipeline, settings: Settings) -> None:
    """Every reservation in it is found, whatever its shard, in the order of broker time."""
    expected, payments = Counter[str](), 0
    for message in records_of(pipeline.bootstrap, pipeline.topics.ledger):
        for entry in decode_ledger_record(message.value() or b"").entries():
            causes = [detail.kind for detail in entry.details if isinstance(detail, Cause)]
            if entry.kind in RESERVING and CauseKind.REFUND not in causes:
                payments += 1
                holds = [d.amount_minor + d.captured_minor for d in entry.details if isinstance(d, Hold)]
                expected[entry.currency] += entry.amount_minor * (max(entry.amount_minor, *holds, 0) >= 500)
    seen: list[tuple[int, int]] = []
    found = tried_on_the_past(
        settings, rules_of(RULES), Tier.VERIFIED, pipeline.topics, lambda read, total: seen.append((read, total))
    )
    assert payments > 100
    assert found.attempts >= payments
    assert found.amounts_minor == {(currency, Change.STOPPED): minor for currency, minor in expected.items() if minor}
    assert seen == sorted(seen) != []


TRIED = Backtest(4, 1_234, Counter(EUR=1_000_00, USD=5))
TRIED.payments["EUR", Change.STOPPED] = 2
TRIED.amounts_minor["EUR", Change.STOPPED] = 900_50
TRIED.hits["large"] = 3


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Tier]]:
    """Version of the rule set and tier that the command asks with."""
    found: list[tuple[int, Tier]] = []

    def answer(_: Settings, rules: RuleSet, tier: Tier, progress: object) -> Backtest:
        found.append((rules.version, tier))
        return TRIED

    monkeypatch.setattr(command, "tried_on_the_past", answer)
    monkeypatch.setattr(command, "audited_settings", lambda _: Settings())
    return found


@pytest.fixture
def rules_file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_the_answer_for_people_and_for_machines(asked: list[tuple[int, Tier]], rules_file: Path) -> None:
    shown = runner.invoke(app, ["replay", "--rules", str(rules_file)], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "rule set 4 on 1,234 past payments" in shown.stdout
    assert "2: 900.50" in shown.stdout
    assert "large: 3 hits" in shown.stdout
    printed = json.loads(runner.invoke(app, ["replay", "--rules", str(rules_file), "--tier", "BASIC", "--json"]).stdout)
    assert printed["currencies"]["EUR"]["stopped_minor"] == 900_50
    assert printed["unrecorded"] == []
    assert asked == [(4, Tier.VERIFIED), (4, Tier.BASIC)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tier", "gold"], "'gold' is none of unverified, basic, verified, enhanced"),
        (["--decide"], "goes with neither --to, --account nor --decide"),
        (["--to", "0:1"], "goes with neither --to, --account nor --decide"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    asked: list[tuple[int, Tier]], rules_file: Path, arguments: list[str], said: str
) -> None:
    result = runner.invoke(app, ["replay", "--rules", str(rules_file), *arguments], env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert said in result.stderr
    assert asked == []


def test_a_rule_set_that_is_none_names_its_lines(asked: list[tuple[int, Tier]], rules_file: Path) -> None:
    rules_file.write_text(RULES.replace("amount_minor", "amount"))
    result = runner.invoke(app, ["replay", "--rules", str(rules_file)], env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert "line 3: rule large: `when` reads amount, which no payment has" in result.stderr
    assert asked == []


def test_a_ledger_whose_beginning_is_gone_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, rules_file: Path) -> None:
    def gone(*_: object, **__: object) -> Backtest:
        raise AuditImpossible("ledger.entries[0] begins at offset 7")

    monkeypatch.setattr(command, "tried_on_the_past", gone)
    monkeypatch.setattr(command, "audited_settings", lambda _: Settings())
    result = runner.invoke(app, ["replay", "--rules", str(rules_file)])
    assert result.exit_code == 1
    assert "begins at offset 7" in result.stderr
