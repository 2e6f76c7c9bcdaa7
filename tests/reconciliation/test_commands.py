"""Goal: an operator does the whole day with `millrace recon`, and every answer is JSON where it is asked for.

Method: the commands in this process, on a database of their own; an explanation needs no ledger.
"""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from millrace.cli import app
from reconciliation.nightly.plan import read_plan
from reconciliation.runs.rules import read_rules
from tests.reconciliation.ledger import RULES, charge, report
from tests.reconciliation.nightly.plans import plan_in

EXAMPLE = Path(__file__).parents[2] / "examples" / "reconciliation_run.yaml"


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", migrated)
    (tmp_path / "rules.yaml").write_text(RULES)
    with psycopg.connect(migrated, autocommit=True) as books:
        charge(books, 1, 10_00, "2024-11-18")


def recon(*arguments: str, exits: int = 0) -> Any:
    result = CliRunner().invoke(app, ["recon", *arguments, "--json"])
    assert result.exit_code == exits, result.output
    return json.loads(result.stdout)


def test_the_day_of_an_operator(tmp_path: Path) -> None:
    (tmp_path / "stripe.csv").write_text(report(("order-1", "9.00", "2024-11-18", "charge")))
    (tmp_path / "note.txt").write_text("no statement")
    brought = recon("import", str(tmp_path / "stripe.csv"), str(tmp_path / "note.txt"), "--source", "stripe", exits=1)
    assert [one["status"] for one in brought] == ["imported", "quarantined"]
    again = recon("import", str(tmp_path / "stripe.csv"), "--source", "stripe")
    assert (again[0]["status"], again[0]["first_import"]) == ("refused", brought[0]["id"])
    assert len(recon("files")) == 3
    made = recon("run", "--rules", str(tmp_path / "rules.yaml"))
    assert (made["matches"], made["breaks"], made["changes"]["opened"]) == (0, 1, 1)
    [found] = recon("breaks", "--order", "age")
    explain = ("--kind", "explain", "--reason-code", "KNOWN", "--because", "invoice 7", "--by", "anna")
    assert recon("propose", found["id"], *explain)["status"] == "proposed"
    refused = recon("resolve", found["id"], "approve", "--because", "x", "--by", "anna", exits=1)
    assert "second person" in refused["error"]
    assert recon("resolve", found["id"], "approve", "--because", "x", "--by", "bert") == {
        "id": found["id"],
        "status": "resolved",
        "sent": 0,
    }
    assert recon("breaks", found["id"])["trail"][-1]["by"] == "bert"
    for suffix in ("csv", "xlsx", "pdf"):
        assert recon("report", "--out", str(tmp_path / f"report.{suffix}"))["result_hash"] == made["result_hash"]
    signed = recon("sign", "stripe-daily", "--note", "fine", "--by", "carla")
    assert (signed["result_hash"], signed["live_breaks"]) == (made["result_hash"], 0)
    assert recon("sign", "--reopen", signed["id"], "--because", "late file")["reopened_because"] == "late file"


def test_legs_that_are_written_wrong_say_how_to_write_them(tmp_path: Path) -> None:
    recon("run", "--rules", str(tmp_path / "rules.yaml"))
    [found] = recon("breaks")
    asked = ("propose", found["id"], "--kind", "adjust", "--reason-code", "FEE", "--because", "x", "--leg")
    assert "debit:fees:1.00:EUR" in recon(*asked, "fees:1.00", exits=1)["error"]
    assert "account" in recon(*asked, "debit:fee:1.00:EUR", exits=1)["error"]


def test_what_people_read_is_whole_and_what_they_forget_is_asked_for(tmp_path: Path) -> None:
    """In a pipe, which is 80 letters wide: an id that is cut short can't be copied."""
    rules = str(tmp_path / "rules.yaml")
    recon("run", "--rules", rules)
    [found] = recon("breaks")

    def said(*arguments: str) -> str:
        answer = CliRunner().invoke(app, ["recon", *arguments])
        return " ".join(answer.output.replace("│", " ").split())

    assert f"{found['id']} MISSING_EXTERNAL open 10.00 EUR" in said("breaks")
    told = said("run", "--rules", rules)
    assert "EUR: the books have 10.00 more than the files" in told
    assert "no file of stripe has ever come" in told
    assert recon("run", "--rules", rules)["sources_without_files"] == ["stripe"]
    assert "taken back" in said("sign", "--reopen", recon("sign", "--by", "carla")["id"], "--because", "late file")
    explain = ("propose", found["id"], "--kind", "explain")
    assert "say why" in said(*explain, "--reason-code", "KNOWN", "--because", " ")
    assert "capitals, digits" in said(*explain, "--reason-code", "", "--because", "x")
    assert "one of MISSING_INTERNAL" in said("breaks", "--type", "MISING_INTERNAL")
    assert "one of open, assigned" in said("breaks", "--status", "opened")
    assert "name who sent" in said("import", rules, "--source", " ")
    assert "one of approve, reject" in said("resolve", found["id"], "look", "--because", "x")
    assert "lies after" in said("run", "--rules", rules, "--from", "2026-11-30", "--to", "2026-11-01")
    assert "No such file" in said("report", "--out", str(tmp_path / "none" / "report.csv"))
    (tmp_path / "wrong.yaml").write_text("version: 2")
    assert "version" in recon("run", "--rules", str(tmp_path / "wrong.yaml"), exits=1)["error"]


def test_the_schedule_shows_what_is_next_and_what_is_missing(tmp_path: Path) -> None:
    plan_in(tmp_path)
    found = recon("schedule", "--plan", str(tmp_path / "plan.yaml"))
    [night] = found["nightly"]
    assert (night["rules"], night["at"], night["zone"], night["last"]) == (
        "stripe-daily",
        "02:30",
        "Europe/Berlin",
        None,
    )
    assert len(night["due"]) == 1
    assert night["missing"][0]["source"] == "stripe"
    assert found["following"] == []
    (tmp_path / "plan.yaml").write_text("version: 2")
    assert "plan" in recon("schedule", "--plan", str(tmp_path / "plan.yaml"), exits=1)["error"]


def test_the_examples_of_the_documents_are_read() -> None:
    assert read_rules(EXAMPLE.read_text()).rules.statements.amount == "gross"
    [night] = read_plan(EXAMPLE.with_name("reconciliation_plan.yaml")).nights
    assert night.is_followed
    assert read_plan(EXAMPLE.with_name("reconciliation_plan.yaml")).internal is not None
