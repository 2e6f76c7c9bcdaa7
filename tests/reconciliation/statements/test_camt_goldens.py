"""camt.053 against the results that genkgo/camt publishes for its own samples, field by field where both have it.

A golden writes an object once; of a file with two statements it has the last.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from reconciliation.statements.lines import Line
from reconciliation.statements.parse import parsed
from tests.reconciliation.statements.files import SAMPLES

GOLDENS = SAMPLES / "camt053_expected_json"


def money(value: dict[str, Any]) -> tuple[int, str]:
    """Minor units and currency of a Money\\Money."""
    return int(value["getAmount"]), value["getCurrency"]["getCode"]


def day(value: dict[str, Any] | None) -> str | None:
    """The day of a DateTimeImmutable."""
    return value["0"][:10] if value else None


def of_class(value: Any, name: str) -> list[dict[str, Any]]:
    """Every object of a class, wherever it is written: a golden has an object once and refers to it elsewhere."""
    if isinstance(value, list):
        return [found for one in value for found in of_class(one, name)]
    if not isinstance(value, dict):
        return []
    own = [value] if value.get("__CLASS__", "").endswith(f"\\{name}") else []
    return own + [found for one in value.values() for found in of_class(one, name)]


@pytest.mark.parametrize("path", sorted(GOLDENS.glob("*.json")), ids=lambda path: path.stem)
def test_entries_are_those_of_genkgo(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    result = parsed(SAMPLES / "camt053" / f"{path.stem}.xml")
    known = {record["getId"] for record in of_class(golden, "Statement")}
    lines = [line for statement, lines in result.statements if statement.identification in known for line in lines]
    expected = sorted(of_class(golden, "Entry"), key=lambda entry: money(entry["getAmount"]))
    assert len(lines) == len(expected)
    for line, entry in zip(sorted(lines, key=lambda line: line.amount_minor), expected, strict=True):
        same_entry(line, entry)


def same_entry(line: Line, entry: dict[str, Any]) -> None:
    amount, currency = money(entry["getAmount"])
    assert (line.amount_minor, line.currency) == (amount, currency)
    assert (line.booking_date, line.value_date) == (day(entry["getBookingDate"]), day(entry["getValueDate"]))
    assert line.reversal == entry["getReversalIndicator"]
    assert line.status == entry["getStatus"]
    assert line.references.get("account_servicer_reference") == entry["getAccountServicerReference"]
    detail = entry["getTransactionDetail"]
    reference = detail["getReference"] if isinstance(detail, dict) else None
    if isinstance(reference, dict):
        for name, key in (
            ("end_to_end_id", "getEndToEndId"),
            ("instruction_id", "getInstructionId"),
            ("mandate_id", "getMandateId"),
            ("transaction_id", "getTransactionId"),
            ("uetr", "getUuidEndToEndReference"),
        ):
            assert line.references.get(name) == reference[key], name


@pytest.mark.parametrize("path", sorted(GOLDENS.glob("*.json")), ids=lambda path: path.stem)
def test_balances_are_those_of_genkgo(path: Path) -> None:
    golden = json.loads(path.read_text(encoding="utf-8"))
    statements = {one.identification: one for one, _ in parsed(SAMPLES / "camt053" / f"{path.stem}.xml").statements}
    records = of_class(golden, "Statement")
    assert records
    for record in records:
        statement = statements[record["getId"]]
        assert statement.account == record["getAccount"]["getIdentification"]
        for one in record["getBalances"]:
            assert (*money(one["getAmount"]), day(one["getDate"])) in {
                (balance.amount_minor, balance.currency, balance.date) for balance in statement.balances
            }


def test_the_golden_currency_exponent_is_kept() -> None:
    """8.850 EUR is 885: three decimals of which one is nothing."""
    ((statement, (line,)),) = parsed(SAMPLES / "camt053" / "camt__camt053.v2.five.decimals.xml").statements
    assert (line.amount_minor, statement.opening_minor, statement.closing_minor) == (885, 1815, 2705)
