"""Goal: rules and files in every shape are read exactly, and what is wrong is said with its place."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from millrace.cli import EXIT_FAILED, EXIT_USAGE, app
from reconciliation.matching.lines import Line
from reconciliation.matching.rules import Columns, RulesFault, Source, rules_of
from reconciliation.tables import read_lines
from tests.reconciliation.matching.builders import SIDE, rules


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"version": 2}, "version"),
        ({"calendar": "MOON"}, r"calendar"),
        ({"speed": 1}, "speed"),
        ({"date_window": {"after_days": -1}}, r"date_window.after_days"),
        ({"tolerance": {"basis_points": 1.5}}, r"tolerance.basis_points"),
        ({"similarity": 20}, "similarity"),
        ({"sources": {"internal": SIDE}}, "external"),
        ({"sources": {"internal": SIDE | {"currency": "EUX"}, "external": SIDE}}, "EUX"),
        ({"sources": {"internal": SIDE | {"currency": ""}, "external": SIDE}}, "columns.currency or one currency"),
        ({"sources": {"internal": SIDE | {"columns": {"date": "d"}}, "external": SIDE}}, "either amount, or"),
        (
            {"sources": {"internal": SIDE | {"columns": SIDE["columns"] | {"keys": {"x": "y"}}}, "external": SIDE}},
            "'x' is not in group_by",
        ),
        ({"sources": {"internal": SIDE | {"filters": [{"column": "a"}]}, "external": SIDE}}, "one_of or none_of"),
    ],
)
def test_rules_that_are_wrong_say_where(parts: dict[str, Any], reason: str) -> None:
    with pytest.raises(RulesFault, match=reason):
        rules(**parts)


def read(tmp_path: Path, text: str, **source: Any) -> list[Line]:
    file = tmp_path / "lines.csv"
    file.write_text(text, encoding="utf-8-sig")
    side = {"columns": {"date": "Date", "amount": "Amount"}, "currency": "EUR"} | source
    made = rules_of({"version": 1, "name": "x", "sources": {"internal": side, "external": SIDE}, "group_by": ["batch"]})
    found: Source = made.sources.internal
    return list(read_lines(file, found, made.group_by))


@pytest.mark.parametrize(
    ("text", "source", "amounts"),
    [
        ("1.50\n-1.5\n+2\n1,234.56\n.2\n", {}, [150, -150, 200, 123456, 20]),
        ("1.234,56\n", {"decimal_mark": ",", "delimiter": ";"}, [123456]),
        ("150\n", {"amounts": "minor"}, [150]),
        ("10000\n", {"amounts": "hundredths", "currency": "JPY"}, [100]),
        ("1.50\n", {"negate": True}, [-150]),
    ],
)
def test_amounts_as_sources_write_them(tmp_path: Path, text: str, source: dict[str, Any], amounts: list[int]) -> None:
    delimiter = source.get("delimiter", ";")
    rows = "".join(f"2026-11-20{delimiter}{amount}\n" for amount in text.split())
    lines = read(tmp_path, f"\nDate{delimiter}Amount\n{rows}", **{"delimiter": ";"} | source)
    assert [line.amount_minor for line in lines] == amounts
    assert [line.line for line in lines] == list(range(3, 3 + len(amounts)))


def test_columns_of_every_kind(tmp_path: Path) -> None:
    columns = {
        "date": "When", "credit": "In", "debit": "Out", "currency": "Cur", "id": "Id", "fee": "Fee", "gross": "Gross",
        "original_amount": "Orig", "original_currency": "OrigCur", "keys": {"batch": "Batch"}, "type": "Type",
    }  # fmt: skip
    text = (
        "Type,When,In,Out,Cur,Id,Fee,Gross,Orig,OrigCur,Batch\n"
        "pay,20/11/2026,5.00,,EUR,a,0.10,5.10,600,JPY,7\n"
        "payout,20/11/2026,,9.00,EUR,,,,,,7\n"
        "note,,,,,,,,,,\n"
    )
    filters = [{"column": "Type", "none_of": ["note"]}]
    found = read(tmp_path, text, columns=columns, currency="", date_format="%d/%m/%Y", filters=filters)
    assert found == [
        Line("lines.csv", 2, 500, "EUR", date(2026, 11, 20), "a", "", ("7",), type="pay", gross_minor=510, fee_minor=10,
             original_minor=600, original_currency="JPY"),
        Line("lines.csv", 3, -900, "EUR", date(2026, 11, 20), keys=("7",), type="payout"),
    ]  # fmt: skip


def test_a_sign_in_a_column_of_its_own(tmp_path: Path) -> None:
    text = "Date,Amount,Side\n2026-11-20,1.00,CR\n2026-11-20,2.00,DR\n"
    found = read(tmp_path, text, direction={"column": "Side", "negative": ["DR"]})
    assert [line.amount_minor for line in found] == [100, -200]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Date,Total\n", "there is no column 'Amount'; it has Date, Total"),
        ("Date,Amount\n2026-11-20,1.005\n", "line 2: '1.005' is no amount of EUR"),
        ("Date,Amount\n20.11.2026,1\n", "line 2"),
        ("Date,Amount\n2026-11-20,NaN\n", "line 2"),
        ("Date,Amount\n2026-11-20,1e99999\n", "line 2"),
        ("Date,Amount\n2026-11-20,one\n", "line 2: 'one' is no amount$"),
        ('Date,Amount\n2026-11-20,"12,50"\n', "line 2: '12,50' is no amount; the rules say decimal_mark '.'"),
        ("Date,Amount\n2026-11-20,12,50\n", "line 2: 3 cells, the header 2; put quotes"),
        ("Date,Amount,Amount\n2026-11-20,1,2\n", "2 columns are called 'Amount'"),
        ("Date;Amount\n2026-11-20;1\n", "is its delimiter ';'"),
        ("Date,Amount\n20/11/2026,1\n", "'20/11/2026' is no date as 2026-11-22"),
        ("", "is empty"),
    ],
)
def test_a_line_that_can_not_be_read_says_which(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(RulesFault, match=reason):
        read(tmp_path, text)


EXAMPLE = Path(__file__).parents[3] / "examples" / "reconciliation_rules.yaml"
RULES = {
    "version": 1,
    "name": "daily",
    "sources": {
        "internal": {"columns": {"id": "payment", "amount": "amount", "date": "booked"}, "currency": "EUR"},
        "external": {"columns": {"id": "charge", "amount": "gross", "date": "created"}, "currency": "EUR"},
    },
}


def command(tmp_path: Path, *more: str) -> Any:
    (tmp_path / "own.csv").write_text("payment,amount,booked\na,5.00,2026-11-16\nb,6.00,2026-11-16\n")
    (tmp_path / "psp.csv").write_text("charge,gross,created\na,5.00,2026-11-17\nc,7.00,2026-11-17\n")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    paths = [part for name in ("internal=own.csv", "external=psp.csv", "rules=rules.yaml") for part in name.split("=")]
    arguments = [f"--{word}" if index % 2 == 0 else str(tmp_path / word) for index, word in enumerate(paths)]
    return CliRunner().invoke(app, ["recon", "match", *arguments, *more])


def test_the_command_with_rules_of_its_own(tmp_path: Path) -> None:
    answer = command(tmp_path, "--json", "--as-of", "2026-11-20")
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert told["matches"] == [
        {
            "pass": "exact_id",
            "keys": {"id": "a"},
            "score": 100,
            "internal": [_shown("own.csv", 500, "2026-11-16", "a")],
            "external": [_shown("psp.csv", 500, "2026-11-17", "a")],
            "note": "",
        }
    ]
    assert [one["type"] for one in told["breaks"]] == ["MISSING_EXTERNAL", "MISSING_INTERNAL"]
    shown = command(tmp_path).stdout
    assert "1 matches: 1 exact_id" in shown
    assert "own.csv:3" in shown
    assert "-7.00 EUR" in shown


def test_the_example_finds_a_wrong_fee_and_a_missing_payment(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(
        "payment_id,booked_on,net,gross,fee,currency,status,payout\n"
        "a,2026-11-16,9.70,10.00,0.30,EUR,captured,\nb,2026-11-16,19.50,20.00,0.50,EUR,captured,\n"
        "c,2026-11-16,29.40,30.00,0.60,EUR,captured,\n"
    )
    (tmp_path / "psp.csv").write_text(
        "automatic_payout_id,balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,order_id\n"
        "po_1,txn_1,2026-11-16 12:00:00,EUR,10.00,0.30,9.70,charge,a\n"
        "po_1,txn_2,2026-11-16 12:00:00,EUR,20.00,0.55,19.45,charge,b\n"
        "po_1,txn_2,2026-11-16 12:00:00,EUR,20.00,0.55,19.45,charge,b\n"
        "po_1,txn_9,2026-11-18 00:00:00,EUR,-29.15,0,-29.15,payout,\n"
    )
    found = CliRunner().invoke(
        app,
        ["recon", "match", "--internal", str(tmp_path / "own.csv"), "--external", str(tmp_path / "psp.csv"),
         "--rules", str(EXAMPLE), "--as-of", "2026-11-20", "--json"],
    )  # fmt: skip
    told = json.loads(found.stdout)
    assert [one["keys"] for one in told["matches"]] == [{"id": "a"}]
    assert {(one["type"], one["difference"]) for one in told["breaks"]} == {
        ("FEE_DIFFERENCE", 5),
        ("MISSING_EXTERNAL", 2_940),
        ("DUPLICATE_EXTERNAL", -1_945),
    }


def _shown(file: str, amount_minor: int, day: str, key: str) -> dict[str, Any]:
    return {"file": file, "line": 2, "amount_minor": amount_minor, "currency": "EUR", "date": day, "id": key}


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    assert command(tmp_path, "--as-of", "soon").exit_code == EXIT_USAGE
    (tmp_path / "own.csv").write_text("x\n")
    other = CliRunner().invoke(app, ["recon", "match", "--internal", "x.csv", "--rules", str(tmp_path / "none.yaml")])
    assert (other.exit_code, "none.yaml" in other.stderr) == (EXIT_FAILED, True)


def test_what_is_wrong_is_json_where_json_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("version: 2")
    path = str(tmp_path / "rules.yaml")
    answer = CliRunner().invoke(
        app, ["recon", "match", "--internal", path, "--external", path, "--rules", path, "--json"]
    )
    assert (answer.exit_code, list(json.loads(answer.stdout))) == (1, ["error"])
    binary = tmp_path / "latin.csv"
    binary.write_bytes(b"Date,Amount\n\xe4,1\n")
    with pytest.raises(RulesFault, match="no text in UTF-8"):
        list(read_lines(binary, Source(Columns("Date", "Amount"), currency="EUR"), ()))
