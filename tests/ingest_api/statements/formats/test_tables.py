"""Goal: CSV and JSON say what the entries say, and no cell is a formula."""

import csv
import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingest_api.statements.formats.cells import csv_rows, text_cell
from ingest_api.statements.formats.csv_table import COLUMNS, CsvStatement
from ingest_api.statements.formats.json_document import JsonStatement
from tests.ingest_api.statements.formats.made_up import DESCRIPTIONS, OPENING_MINOR, made_head, made_lines, written


def table(descriptions: list[str]) -> list[dict[str, str]]:
    content = written(CsvStatement(), made_lines(descriptions), batch=3).decode()
    return list(csv.DictReader(io.StringIO(content, newline="")))


def test_rows_of_a_table() -> None:
    lines, rows = made_lines(DESCRIPTIONS), table(DESCRIPTIONS)
    head = made_head(lines)
    entries = [row for row in rows if row["row"] == "entry"]
    assert [int(row["amount_minor"]) for row in entries] == [line.amount_minor for line in lines]
    assert [int(row["balance_minor"]) for row in entries] == [line.balance_minor for line in lines]
    opening, closing = [row for row in rows if row["row"] in {"opening", "closing"}]
    assert (int(opening["balance_minor"]), int(closing["balance_minor"])) == (OPENING_MINOR, head.closing_minor)
    totals = [row for row in rows if row["row"] == "total"]
    assert sum(int(row["amount_minor"]) for row in totals) == head.closing_minor - OPENING_MINOR
    assert sum(int(row["entries"]) for row in totals) == len(lines)
    assert sum(int(row["fee_minor"]) for row in totals) == sum(line.fee_minor for line in lines)
    assert all(None not in row and None not in row.values() for row in rows), "every row has every column"


def test_amounts_are_numbers_to_a_spreadsheet() -> None:
    debit = next(row for row in table(DESCRIPTIONS) if row["row"] == "entry" and int(row["amount_minor"]) < 0)
    assert debit["amount"] == "-10.01"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=4))
def test_any_text_is_a_cell_and_no_formula(descriptions: list[str]) -> None:
    rows = [row for row in table(descriptions) if row["row"] == "entry"]
    assert len(rows) == len(descriptions)
    for row, text in zip(rows, descriptions, strict=True):
        shown = row["description"]
        assert shown.replace("'", "") == text.replace("\0", "\ufffd").replace("'", "")
        assert not shown.strip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))


def test_what_spreadsheets_would_run() -> None:
    for text in (
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t1",
        "\r1",
        "\n1",
        "  =1",
        "＝1",
        "\u3000=1",
        "\x1f=1",
        "\x85\x01=1",
    ):
        assert text_cell(text) == f"'{text}"
    assert text_cell("\t=1") == "'\t'=1"
    for text in ("Rent", "1-2", "a=b", "", " ", "'quoted"):
        assert text_cell(text) == text


def test_what_a_spreadsheet_that_splits_at_semicolons_would_run() -> None:
    """Where the comma is the decimal sign, it does; the quotes of a cell do not help, since they are in its middle."""
    for text in ("rent;{}=1+1", "rent; {}@SUM(A1)", "rent\n{}=1", "rent\r\n{}-1", "rent\t{}+1", "a;{}=1;b;{}=2"):
        assert text_cell(text.replace("{}", "")) == text.replace("{}", "'")
    for text in ("a; b=c", "one;two", "first\nsecond"):
        assert text_cell(text) == text


def test_a_row_has_crlf_and_quotes() -> None:
    assert csv_rows([["a", 'b"c', "d\re"]]) == b'a,"b""c","d\re"\r\n'


def document(descriptions: list[str], batch: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written(JsonStatement(), made_lines(descriptions), batch=batch))
    return found


def test_a_json_document() -> None:
    lines, shown = made_lines(DESCRIPTIONS), document(DESCRIPTIONS, 4)
    assert shown == document(DESCRIPTIONS, 500), "in whichever parts it is written"
    assert [entry["amount_minor"] for entry in shown["entries"]] == [line.amount_minor for line in lines]
    assert [entry["description"] for entry in shown["entries"]] == DESCRIPTIONS
    assert (shown["from"], shown["to"]) == ("2026-10-01T00:00:00.000000Z", "2026-11-01T00:00:00.000000Z")
    credited = sum(total["credited_minor"] - total["debited_minor"] for total in shown["totals"])
    assert shown["opening_balance_minor"] + credited == shown["closing_balance_minor"]
    assert shown["final"] is True


def test_an_empty_month() -> None:
    assert document([], 500)["entries"] == document([], 500)["totals"] == []
    assert [row["row"] for row in table([])] == ["opening", "closing"]
    assert written(CsvStatement(), []).decode().splitlines()[0] == ",".join(COLUMNS)
