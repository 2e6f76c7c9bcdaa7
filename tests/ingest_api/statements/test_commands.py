"""Goal: the commands write what the API answers, to stdout or to a file that is complete, and say what is wrong."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from millrace.cli import EXIT_FAILED, EXIT_USAGE, app
from payments.identifiers import ACCOUNT, format_id
from tests.ingest_api.statements.fold import figures_at, placed_entries
from tests.sinks.every_kind import ANNA
from tests.sinks.test_every_kind import Played

OWN = format_id(ACCOUNT, ANNA)


@pytest.fixture
def run(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("DATABASE_URL", ledger_url)
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path / "home"))
    return CliRunner()


@pytest.mark.parametrize(
    ("format_", "begin"), [("json", b'{"account"'), ("csv", b"row,at,"), ("camt053", b"<?xml "), ("pdf", b"%PDF-")]
)
def test_a_statement_goes_to_a_file_or_to_stdout(run: CliRunner, tmp_path: Path, format_: str, begin: bytes) -> None:
    asked = ["statement", OWN, "--month", "2026-09", "--format", format_]
    shown = run.invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    out = tmp_path / "statement"
    assert run.invoke(app, [*asked, "--out", str(out)]).exit_code == 0
    assert out.read_bytes() == shown.stdout_bytes
    assert shown.stdout_bytes.startswith(begin)
    assert [*tmp_path.glob("statement*")] == [out]


def test_a_balance_at_a_microsecond(run: CliRunner, played: Played) -> None:
    at = placed_entries(played)[40].at
    shown = run.invoke(app, ["balance", OWN, "--at", at.isoformat(), "--json"])
    assert shown.exit_code == 0, shown.output
    balance = json.loads(shown.stdout)
    figures = figures_at(played, ANNA, at)
    assert {name: balance[name] for name in figures._fields} == figures._asdict()
    assert balance["posted"] in run.invoke(app, ["balance", OWN, "--at", at.isoformat()]).stdout


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (["statement", OWN, "--month", "2026-13"], EXIT_FAILED, "2026-10"),
        (["statement", "acc_nobody", "--month", "2026-09"], EXIT_FAILED, "not open"),
        (["statement", OWN, "--month", "2026-09", "--format", "xls"], EXIT_USAGE, "camt053"),
        (["balance", OWN, "--at", "yesterday"], EXIT_USAGE, "2026-10-31T"),
        (["balance", OWN, "--at", "2999-01-01T00:00:00Z"], EXIT_FAILED, "has passed"),
    ],
    ids=["no month", "no account", "no format", "no time", "a time to come"],
)
def test_what_is_wrong_is_said(run: CliRunner, asked: list[str], code: int, said: str) -> None:
    shown = run.invoke(app, asked)
    assert shown.exit_code == code
    assert said in " ".join(shown.output.split())
