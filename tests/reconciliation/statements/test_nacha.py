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


def written(kind: str, entry: str, *addenda: str, purpose: str = "PAYMENT", code: str = "27") -> str:
    """A file of one entry (its columns 40–78) and the addenda (from column 4 on, with their type before)."""
    head = "101 231380104 1210428822610010000A094101".ljust(94)
    batch = f"5200{'COMPANY':36}1210428820{kind}{purpose:10}{'':6}261002   1121042880000001"
    amount = 0 if code in {"28", "23"} else 1250
    detail = f"6{code}231380104{'744-5678-99':17}{amount:010}{entry:39}{int(bool(addenda))}121042880000001"
    more = [f"7{words:82}{'00010000001':>11}" for words in addenda]
    sums = f"{1 + len(addenda):06}0023138010{amount:012}{0:012}"
    tail = [f"8200{sums}{'1210428820':35}121042880000001", f"9000001000001{sums[:6]:0>8}{sums[6:]}".ljust(94)]
    return "\n".join([head, batch, detail, *more, *tail])


def test_texts_of_addenda_are_words_apart_unless_they_fill_their_columns(tmp_path: Path) -> None:
    _, (line,) = only(parse_text(tmp_path, written("CTX", "", "05Invoice 1", "05Invoice 2")))
    assert line.description == "Invoice 1 Invoice 2"
    _, (line,) = only(parse_text(tmp_path, written("CTX", "", "05" + "ISA*" * 20, "05GS*1")))
    assert line.description == "ISA*" * 20 + "GS*1"


def test_a_batch_that_takes_entries_back_says_so(tmp_path: Path) -> None:
    _, (line,) = only(parse_text(tmp_path, written("PPD", "", purpose="REVERSAL")))
    assert (line.reversal, line.description) == (True, "REVERSAL")
    _, (line,) = only(parse_text(tmp_path, written("PPD", "")))
    assert (line.reversal, line.description) == (False, "PAYMENT")


def test_a_prenotification_moves_nothing(tmp_path: Path) -> None:
    _, (line,) = only(parse_text(tmp_path, written("PPD", "", code="28")))
    assert (line.amount_minor, line.status) == (0, "INFO")


@pytest.mark.parametrize(
    ("kind", "entry", "identification", "receiver"),
    [
        ("ATX", "INV-1          0002ACME", "INV-1", "ACME"),
        ("ENR", "INV-1          ACME", "INV-1", "ACME"),
        ("CIE", "JANE DOE       BILL-1", "BILL-1", "JANE DOE"),
        ("SHR", "0722DOC-1      0004111111111111111", "DOC-1", ""),
    ],
)
def test_each_entry_class_has_its_own_columns(
    kind: str, entry: str, identification: str, receiver: str, tmp_path: Path
) -> None:
    _, (line,) = only(parse_text(tmp_path, written(kind, entry)))
    assert (line.references["individual_id"], line.counterparty) == (identification, receiver)


def test_a_terminal_stands_behind_two_reference_fields(tmp_path: Path) -> None:
    _, (line,) = only(parse_text(tmp_path, written("POS", "", "02REF-0010012005091234561224")))
    assert (line.references["terminal"], line.references["terminal_transaction"]) == ("200509", "123456")


def test_a_return_that_is_dishonoured_or_contested_names_the_returns_before(tmp_path: Path) -> None:
    back = "12391871   12391871000000117901"
    _, (line,) = only(parse_text(tmp_path, written("PPD", "", f"99R68059999990000301      {back}Untimely Return")))
    assert (line.references["return_code"], line.references["returned_for"], line.description) == (
        "R68",
        "R01",
        "Untimely Return",
    )
    assert line.references["return_trace_number"] == "123918710000001"
    contested = "99R710599999900003010001671239187116477999999000030116501889999990000301166" + "67"
    _, (line,) = only(parse_text(tmp_path, written("PPD", "", contested)))
    assert (line.references["dishonoured_return_trace_number"], line.references["dishonoured_for"]) == (
        "889999990000301",
        "R67",
    )
