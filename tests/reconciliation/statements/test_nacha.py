"""Nacha: every control of a good file, broken once, refuses it with the number that differs."""

from pathlib import Path

import pytest

from reconciliation.statements.nacha.rules import is_credit, routing_number_is_valid
from tests.reconciliation.statements.files import SAMPLES, only, parse_text

GOOD = (SAMPLES / "nacha" / "ach__ppd-credit.ach").read_text(encoding="ascii")


def replaced(record: int, first: int, text: str) -> str:
    """The good file with other columns (from 1) in one record (from 1)."""
    lines = GOOD.splitlines()
    line = lines[record - 1]
    lines[record - 1] = line[: first - 1] + text + line[first - 1 + len(text) :]
    return "\n".join(lines)


def test_the_good_file_is_taken(tmp_path: Path) -> None:
    statement, (line,) = only(parse_text(tmp_path, GOOD))
    assert (line.amount_minor, line.currency, line.type) == (100_000_000, "USD", "PPD 22")
    assert (line.references["trace_number"], statement.control_totals_ok) == ("121042880000002", True)


@pytest.mark.parametrize(
    ("record", "first", "text", "reason"),
    [
        (1, 35, "095", "structure: the file header"),
        (2, 51, "XXX", "field: line 2: standard entry class"),
        (2, 2, "300", "field: line 2: service class"),
        (2, 2, "225", "structure: line 4: service class 225 has credits"),
        (3, 2, "99", "field: line 3: transaction code"),
        (3, 12, "5", "field: line 3: '231380105' is no routing number"),
        (3, 30, "00x", "field: line 3: amount"),
        (3, 79, "1", "structure: line 3: the entry says it has addenda"),
        (3, 80, "abc", "field: line 3: trace number"),
        (3, 55, "\x07", "field: line 3: column 55"),
        (4, 5, "000002", "control_total: line 4: batch entry/addenda count says 2, its records give 1"),
        (4, 11, "0000000001", "control_total: line 4: batch entry hash says 1, its records give 23138010"),
        (4, 33, "000000000001", "control_total: line 4: batch total credits"),
        (4, 88, "0000009", "control_total: line 4: the batch number"),
        (5, 2, "000009", "control_total: line 5: file batches says 9, its records give 1"),
        (5, 22, "0000000001", "control_total: line 5: file entry hash"),
        (5, 44, "000000000001", "control_total: line 5: file total credits"),
    ],
)
def test_one_change_refuses_the_file(record: int, first: int, text: str, reason: str, tmp_path: Path) -> None:
    result = parse_text(tmp_path, replaced(record, first, text))
    assert result.status == "refused"
    assert str(result.reason).startswith(reason)


@pytest.mark.parametrize("record", range(1, 6))
def test_a_missing_record_refuses_the_file(record: int, tmp_path: Path) -> None:
    lines = GOOD.splitlines()
    assert parse_text(tmp_path, "\n".join(lines[: record - 1] + lines[record:])).status == "refused"


def test_records_without_line_ends_are_the_same_file(tmp_path: Path) -> None:
    joined = "".join(line.ljust(94) for line in GOOD.splitlines())
    assert only(parse_text(tmp_path, joined)) == only(parse_text(tmp_path, GOOD))
    assert only(parse_text(tmp_path, GOOD.replace("\n", "\r\n"))) == only(parse_text(tmp_path, GOOD))


def test_returns_and_changes_name_what_they_undo(tmp_path: Path) -> None:
    _, (returned,) = only(parse_text(tmp_path, (SAMPLES / "nacha" / "ach__iat-addenda99.ach").read_bytes()))
    assert (returned.references["return_code"], returned.reversal) == ("R01", True)
    assert returned.references["original_trace_number"] == "231380100000001"
    _, (changed,) = only(parse_text(tmp_path, (SAMPLES / "nacha" / "ach__iat-addenda98.ach").read_bytes()))
    assert (changed.references["change_code"], changed.status) == ("C01", "INFO")


def test_sides_of_the_transaction_codes() -> None:
    assert [is_credit(code) for code in ("22", "32", "52", "81", "83")] == [True] * 5
    assert [is_credit(code) for code in ("27", "37", "55", "82", "84")] == [False] * 5
    assert routing_number_is_valid("231380104")
    assert not routing_number_is_valid("23138010")
