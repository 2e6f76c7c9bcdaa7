"""`millrace audit verify` on the command line: words for people, JSON for machines, exit code 1 for a difference."""

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from millrace.audit import command
from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.audit.report import AuditReport, Difference, Invariant
from millrace.cli import app

runner = CliRunner()


def right() -> AuditReport:
    report = AuditReport(payments=3, posted=2, rejected=1)
    report.proved(Invariant.REPLAY, "7 ledger records decided again: equal byte for byte")
    report.not_proved(Invariant.TABLES, "1 ledger records were not applied yet")
    return report


def wrong() -> AuditReport:
    report = right()
    report.differs(Difference(Invariant.TABLES, "table balances, account_id 7", "posted_minor 1", "posted_minor 2"))
    return report


def impossible() -> AuditReport:
    raise AuditImpossible("127.0.0.1:1 does not answer: is it running?")


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], AuditReport]], None]:
    """Sets what the audit finds, of servers that are named."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/millrace")
    return lambda made: monkeypatch.setattr(command, "verify", lambda _settings, progress: made())


def test_a_right_log(answer: Callable[[Callable[[], AuditReport]], None]) -> None:
    answer(right)
    result = runner.invoke(app, ["audit", "verify"])
    assert result.exit_code == 0
    assert "3 payments: 2 posted, 1 rejected" in result.stdout
    assert "equal byte for byte" in result.stdout
    assert "not proved: 1 ledger records were not applied yet" in result.stdout


def test_a_difference_is_said_and_fails_the_command(answer: Callable[[Callable[[], AuditReport]], None]) -> None:
    answer(wrong)
    result = runner.invoke(app, ["audit", "verify"])
    assert result.exit_code == 1
    for words in ("I5 differs at table balances, account_id 7", "expected posted_minor 1", "found    posted_minor 2"):
        assert words in result.stdout


@pytest.mark.parametrize(("made", "code"), [(right, 0), (wrong, 1)])
def test_json(answer: Callable[[Callable[[], AuditReport]], None], made: Callable[[], AuditReport], code: int) -> None:
    answer(made)
    result = runner.invoke(app, ["audit", "verify", "--json"])
    assert result.exit_code == code
    printed = json.loads(result.stdout)
    assert printed["ok"] is (code == 0)
    assert (printed["payments"], printed["posted"], printed["rejected"]) == (3, 2, 1)
    assert printed["invariants"]["I5"]["verdict"] == ("failed" if code else "not proved")
    place = printed["first_difference"]["place"] if code else None
    assert place == ("table balances, account_id 7" if code else None)


def test_an_audit_that_cannot_be_made(answer: Callable[[Callable[[], AuditReport]], None]) -> None:
    answer(impossible)
    result = runner.invoke(app, ["audit", "verify", "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"ok": False, "error": "127.0.0.1:1 does not answer: is it running?"}
