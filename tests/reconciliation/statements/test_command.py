"""`millrace statements parse`: an object a file, exit 1 when one is refused, nothing of a refused file."""

import json
from pathlib import Path

from typer.testing import CliRunner

from millrace.cli import app
from tests.reconciliation.statements.files import SAMPLES

GOOD = SAMPLES / "camt053" / "camt__camt053.v2.multi.statement.xml"
BAD = SAMPLES / "camt053" / "bankstatementparser__golden_camt053_garbled_amount.xml"
MIXED = """balance_transaction_id,reporting_category,currency,gross,fee,net
t1,charge,eur,1.00,0,1.00
t2,charge,usd,2.00,0,2.00
t3,charge,eur,3.00,0,3.00
"""


def run(*arguments: object) -> tuple[int, list[dict[str, object]]]:
    """Exit code, and the objects printed."""
    result = CliRunner().invoke(app, ["statements", "parse", *map(str, arguments), "--json"])
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


def test_one_object_a_file() -> None:
    code, (good, bad) = run(GOOD, BAD)
    assert code == 1
    assert (good["status"], good["reason"], good["format"]) == ("ok", None, "camt053")
    assert (bad["status"], bad["statements"]) == ("refused", [])
    assert bad["reason"] == "amount: Stmt[1]/Ntry[1]: '12..34' is no amount"
    statements = good["statements"]
    assert isinstance(statements, list)
    assert [one["account"] for one in statements] == ["NL26VAYB8060476890"] * 2
    first = statements[0]
    assert {"opening_minor", "closing_minor", "currency", "lines", "control_totals_ok"} <= set(first)
    assert {"amount_minor", "currency", "booking_date", "value_date", "references", "description", "position"} <= set(
        first["lines"][0]
    )


def test_all_good_is_exit_0() -> None:
    assert run(GOOD)[0] == 0


def test_lines_that_are_mixed_come_with_their_statement(tmp_path: Path) -> None:
    (tmp_path / "mixed").write_text(MIXED)
    _, (result,) = run(tmp_path / "mixed")
    statements = result["statements"]
    assert isinstance(statements, list)
    amounts = {one["currency"]: [line["amount_minor"] for line in one["lines"]] for one in statements}
    assert amounts == {"EUR": [100, 300], "USD": [200]}


def test_many_mixed_lines_leave_memory_and_come_back_in_order(tmp_path: Path) -> None:
    header, *_ = MIXED.splitlines()
    many = [
        f"t{number},charge,{currency},{number}.00,0,{number}.00"
        for number in range(2_000)
        for currency in ("eur", "usd")
    ]
    (tmp_path / "many").write_text("\n".join([header, *many]))
    _, (result,) = run(tmp_path / "many")
    statements = result["statements"]
    assert isinstance(statements, list)
    for one in statements:
        assert [line["amount_minor"] for line in one["lines"]] == [number * 100 for number in range(2_000)]


def test_a_folder_is_all_the_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "b").write_text(MIXED)
    (tmp_path / "a" / "october").mkdir(parents=True)
    (tmp_path / "a" / "october" / "late").write_text(MIXED)
    for hidden in (tmp_path / ".DS_Store", tmp_path / "a" / ".uploading"):
        hidden.write_text("no statement")
    code, results = run(tmp_path)
    assert [result["file"] for result in results] == [str(tmp_path / "a" / "october" / "late"), str(tmp_path / "b")]
    assert code == 0


def test_a_profile_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("name: x")
    assert (
        CliRunner().invoke(app, ["statements", "parse", str(GOOD), "--profile", str(tmp_path / "own.yaml")]).exit_code
        == 2
    )
