"""Goal: a controller reads the whole of it on paper: ids, reasons and lines of files, however long they are."""

import io
from datetime import date

from pypdf import PdfReader

from ingest_api.reconciliation.reports.paper import PDF_ROWS_MAX, as_pdf, widths
from ingest_api.reconciliation.reports.report import Row, Section
from payments.money import Money

BREAK = "brk_4c4c6qw5nygbsbfczjv8nzp000"
LINE = "txn_9,2026-11-17 12:00:00,eur,13.33,0.41,12.92,charge,ch_9,order-9,po_1,a description of some length" * 2


def pages(*sections: Section) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(as_pdf(sections))).pages]


def test_nothing_that_fits_on_four_lines_is_cut() -> None:
    """Twelve columns, of which one is longer than the page is wide."""
    columns = ("break", "type", "difference", *(f"column {number}" for number in range(8)), "as it was sent")
    row: Row = (BREAK, "CURRENCY_MISMATCH", Money(-1_234_50, "EUR"), date(2026, 11, 17), *[""] * 7, LINE)
    [page] = pages(Section("Breaks", columns, [row], [("total", "", Money(-1_234_50, "EUR"))]))
    assert BREAK in page
    assert "CURRENCY_MISMATCH" in page
    assert page.count("-1234.50") == 2
    assert "".join(LINE.split()) in "".join(page.split())


def test_each_page_has_the_header_again_and_its_number() -> None:
    rows: list[Row] = [(f"row {number}", number, "x") for number in range(PDF_ROWS_MAX + 5)]
    found = pages(Section("Many", ("name", "count", "what"), rows), Section("None", ("name", "value", "what"), []))
    assert all("count" in page and f"page {number}" in page for number, page in enumerate(found, 1))
    assert "5 more: CSV and XLSX have them" in found[-1]
    assert "none" in found[-1]


def test_the_widest_columns_give_where_there_is_too_little_room() -> None:
    narrow, wide, wider = widths([("a", "b" * 200, "c" * 400)], 500)
    assert narrow < 20
    assert wide == wider
    assert narrow + wide + wider == 500
    assert sum(widths([("a", "b")], 500)) < 50
