"""Sections → CSV, XLSX or PDF. What is foreign is never run by a spreadsheet: CSV puts an apostrophe in front of what
would be a formula, XLSX stores it as a text.
"""

import io
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import xlsxwriter

from ingest_api.reconciliation.reports.paper import as_pdf
from ingest_api.reconciliation.reports.report import Cell, Row, Section
from ingest_api.statements.formats.cells import csv_rows, text_cell
from payments.money import EXPONENTS, Money, format_minor

_SHEET_NAME_MAX: Final = 31
_WIDE_COLUMN: Final = 40


def as_csv(sections: Sequence[Section]) -> bytes:
    """One table after another, each with its title in a row of its own."""
    rows: list[list[object]] = []
    for section in sections:
        rows += [[section.title], list(section.columns)]
        rows += [[_csv_cell(cell) for cell in row] for row in [*section.rows, *section.totals]]
        rows.append([])
    return csv_rows(rows)


def _csv_cell(cell: Cell) -> object:
    if isinstance(cell, Money):
        return format_minor(*cell)
    return text_cell(cell) if isinstance(cell, str) else cell


def as_xlsx(sections: Sequence[Section]) -> bytes:
    """A sheet a section: numbers and dates are such, the header stays in sight, totals are bold."""
    written = io.BytesIO()
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "in_memory": False}
    with xlsxwriter.Workbook(written, options) as book:
        bold = book.add_format({"bold": True})
        styles = _Styles(book)
        for section in sections:
            sheet = book.add_worksheet(section.title.partition(",")[0][:_SHEET_NAME_MAX])
            sheet.freeze_panes(1, 0)
            for at, name in enumerate(section.columns):
                sheet.set_column(at, at, min(max(len(name), 12), _WIDE_COLUMN))
                sheet.write_string(0, at, name, bold)
            for number, row in enumerate(section.rows, 1):
                _xlsx_row(sheet, number, row, styles, is_total=False)
            for number, row in enumerate(section.totals, len(section.rows) + 1):
                _xlsx_row(sheet, number, row, styles, is_total=True)
    return written.getvalue()


class _Styles:
    """A number format for each count of decimals, plain and bold."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._made: dict[tuple[str, bool], Any] = {}

    def of(self, pattern: str, *, is_total: bool) -> Any:
        key = pattern, is_total
        if key not in self._made:
            self._made[key] = self._book.add_format({"num_format": pattern, "bold": is_total})
        return self._made[key]


def _xlsx_row(sheet: Any, number: int, row: Row, styles: _Styles, *, is_total: bool) -> None:
    for at, cell in enumerate(row):
        if isinstance(cell, Money):
            exponent = EXPONENTS[cell.currency]
            pattern = f"#,##0.{'0' * exponent}" if exponent else "#,##0"
            sheet.write_number(number, at, Decimal(format_minor(*cell)), styles.of(pattern, is_total=is_total))
        elif isinstance(cell, date):
            sheet.write_datetime(number, at, cell, styles.of("yyyy-mm-dd", is_total=is_total))
        elif isinstance(cell, int):
            sheet.write_number(number, at, cell, styles.of("#,##0", is_total=is_total))
        else:
            sheet.write_string(number, at, cell, styles.of("@", is_total=is_total))


FORMATS: Final[dict[str, tuple[str, Callable[[Sequence[Section]], bytes]]]] = {
    "csv": ("text/csv", as_csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", as_xlsx),
    "pdf": ("application/pdf", as_pdf),
}
"""Media type and writer."""
