"""`millrace replay` and `millrace drift` on the command line: words, JSON, exit codes, and sentences for bad input."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.audit.report import Difference, Differs, Invariant
from millrace.cli import app
from millrace.replay import command
from millrace.replay.balances import Balance, CurrencyTotals
from millrace.replay.comparison import BalanceDiffers, Comparison
from millrace.replay.decide import DecidedAgain
from millrace.replay.drift import Drift, DriftWatch
from millrace.replay.point import Moment, Offsets
from millrace.replay.rebuild import Point, ReplayReport
from payments.identifiers import ACCOUNT, format_id, parse_id
from runtime.settings import Settings

runner = CliRunner()
ALICE = format_id(ACCOUNT, b"A" * 16)
EQUAL = Comparison(2, 0, 0, [])
DIFFERING = Comparison(2, 1, 7, [BalanceDiffers(ALICE, Balance("EUR", 100, 50), Balance("EUR", 107, 50))])
MISSING = Comparison(2, 1, 150, [BalanceDiffers(ALICE, Balance("EUR", 100, 50), None)])


def report(comparison: Comparison = EQUAL) -> ReplayReport:
    totals = {"EUR": CurrencyTotals(1, 100, 50, 50, -100, 0)}
    shown = ReplayReport({0: 12}, "2026-11-21T20:15:00.000Z", 11, 1_234, 2, totals, ALICE, Balance("EUR", 100, 50))
    shown.compared_with, shown.comparison = "balances", comparison
    return shown


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Point]:
    """What the command asks for; the answer is a right one."""
    points: list[Point] = []

    def answer(_: Settings, point: Point, progress: object) -> ReplayReport:
        points.append(point)
        return report()

    monkeypatch.setattr(command, "replay", answer)
    monkeypatch.setattr(command, "audited_settings", Settings)
    return points


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], Any]], None]:
    """Sets what a function of the command answers, or raises."""
    monkeypatch.setattr(command, "audited_settings", Settings)
    return lambda name, made: monkeypatch.setattr(command, name, lambda *_, **__: made())


def raised(error: Exception) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


def test_points_and_accounts_are_read_from_the_command_line(asked: list[Point]) -> None:
    for arguments in ([], ["--to", "0:7"], ["--to", "1970-01-01T00:00:01Z", "--account", ALICE]):
        assert runner.invoke(app, ["replay", *arguments]).exit_code == 0
    assert asked == [Point(), Point(Offsets({0: 7})), Point(Moment(1_000), parse_id(ACCOUNT, ALICE))]


def test_what_people_see(asked: list[Point]) -> None:
    shown = runner.invoke(app, ["replay"]).stdout
    for words in ("2026-11-21T20:15:00.000Z at 0:12", "1,234 entries", "-1.00", "equal to Postgres (balances)"):
        assert words in shown
    assert f"{ALICE}: posted 1.00 EUR, available 0.50 EUR" in shown


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (DIFFERING, "ledger posted 1.00 EUR, available 0.50 EUR; Postgres posted 1.07 EUR, available 0.50 EUR"),
        (MISSING, "Postgres has no such account"),
    ],
)
def test_a_difference_is_exit_code_1(
    answers: Callable[[str, Callable[[], Any]], None], comparison: Comparison, words: str
) -> None:
    answers("replay", lambda: report(comparison))
    result = runner.invoke(app, ["replay"])
    assert (result.exit_code, words in result.stdout) == (1, True)
    result = runner.invoke(app, ["replay", "--json"])
    assert result.exit_code == 1
    printed = json.loads(result.stdout)
    assert printed["ok"] is False
    assert printed["comparison"]["drift_minor"] == comparison.drift_minor
    assert printed["comparison"]["first"][0]["ledger"]["posted_minor"] == 100


def test_postings_that_do_not_add_up_are_exit_code_1(answers: Callable[[str, Callable[[], Any]], None]) -> None:
    wrong = report()
    wrong.currencies = {"EUR": CurrencyTotals(1, 100, 50, 50, -99, 1)}
    answers("replay", lambda: wrong)
    assert runner.invoke(app, ["replay"]).exit_code == 1


@pytest.mark.parametrize(
    "error", [AuditImpossible("there is no shard 7"), Differs(Invariant.TRACE, "here", "this", "that")]
)
def test_what_cannot_be_done_is_a_sentence(answers: Callable[[str, Callable[[], Any]], None], error: Exception) -> None:
    for name, arguments in (("replay", []), ("decide_again", ["--decide"])):
        answers(name, raised(error))
        result = runner.invoke(app, ["replay", *arguments, "--json"])
        assert (result.exit_code, json.loads(result.stdout)) == (1, {"ok": False, "error": str(error)})
        assert str(error) in runner.invoke(app, ["replay", *arguments]).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "yesterday"], "neither a time with its zone"),
        (["--to", "2026-11-21T20:15:00"], "neither a time with its zone"),
        (["--to", ""], "neither a time with its zone"),
        (["--to", "0:1,0:2"], "names a shard twice"),
        (["--account", "acc_1"], "no account id"),
        (["--account", ""], "no account id"),
        (["--decide", "--to", "0:1"], "neither --to nor --account"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], said: str) -> None:
    result = runner.invoke(app, ["replay", *arguments], env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert said in result.stderr


def test_decisions_made_again(answers: Callable[[str, Callable[[], Any]], None]) -> None:
    done = DecidedAgain(10, 1_234, 9, 1, 4, not_proved=["credits[1] begins at offset 4"])
    answers("decide_again", lambda: done)
    shown = runner.invoke(app, ["replay", "--decide"])
    assert shown.exit_code == 0
    assert "9 of 10 ledger records decided again, equal byte for byte" in shown.stdout
    assert "not proved: credits[1] begins at offset 4" in shown.stdout
    done.first_difference = Difference(Invariant.REPLAY, "ledger[0] offset 3 entry 1", "kind 1", "kind 0")
    shown = runner.invoke(app, ["replay", "--decide"])
    assert shown.exit_code == 1
    assert "I7 differs at ledger[0] offset 3 entry 1" in shown.stdout
    printed = json.loads(runner.invoke(app, ["replay", "--decide", "--json"]).stdout)
    assert printed["first_difference"]["expected"] == "kind 1"


@pytest.mark.parametrize(("comparison", "code"), [(EQUAL, 0), (DIFFERING, 1)])
def test_one_look_for_drift(monkeypatch: pytest.MonkeyPatch, comparison: Comparison, code: int) -> None:
    monkeypatch.setattr(command, "audited_settings", Settings)
    monkeypatch.setattr(DriftWatch, "look", lambda _: Drift(1_000, comparison, {0: 12}, 3, {}, 0.1))
    result = runner.invoke(app, ["drift", "--once", "--json"])
    assert result.exit_code == code
    printed = json.loads(result.stdout)
    assert (printed["ok"], printed["checked_at"]) == (code == 0, "1970-01-01T00:00:01.000Z")
    assert (printed["comparison"]["differing_accounts"], printed["offsets_behind"]) == (code, 3)
    result = runner.invoke(app, ["drift", "--once"])
    assert result.exit_code == code
    assert ("Postgres differs" if code else "drift 0") in result.stdout
