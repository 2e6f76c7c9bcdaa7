"""Sections → CSV, XLSX or PDF. What is foreign is never run by a spreadsheet: CSV puts an apostrophe in front of what
would be a formula, XLSX stores it as a text.
"""

import io
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import xlsxwriter
from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from ingest_api.reconciliation.reports.report import Cell, Row, Section
from ingest_api.statements.formats.cells import csv_rows, text_cell
from ingest_api.statements.formats.scripts import BOLD, REGULAR, runs, wrapped
from payments.money import EXPONENTS, Money, format_minor

PDF_ROWS_MAX: Final = 2_000
"""Of one section; nobody reads more on paper, and the other formats have all of them."""

_SHEET_NAME_MAX: Final = 31
_WIDE_COLUMN: Final = 40
_MARGIN, _SIZE, _LEADING = 30, 6, 8


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


def as_pdf(sections: Sequence[Section]) -> bytes:
    """A4, sideways. Equal reports are equal bytes."""
    page = _Page()
    for section in sections:
        page.section(section)
    return page.finished()


class _Page:
    """Where the next line goes."""

    def __init__(self) -> None:
        self._written = io.BytesIO()
        self._width, self._height = landscape(A4)
        self._canvas = Canvas(self._written, pagesize=(self._width, self._height), invariant=1, pageCompression=1)
        self._y = self._height - _MARGIN

    def section(self, section: Section) -> None:
        self._room_for(4)
        self._write(_MARGIN, section.title, BOLD)
        self._y -= _LEADING + 2
        self._row(section.columns, BOLD)
        for row in section.rows[:PDF_ROWS_MAX]:
            if self._room_for(1):
                self._row(section.columns, BOLD)
            self._row([_pdf_cell(cell) for cell in row], REGULAR)
        if len(section.rows) > PDF_ROWS_MAX:
            self._row([f"… {len(section.rows) - PDF_ROWS_MAX:,} more: CSV and XLSX have them"], REGULAR)
        for row in section.totals:
            self._room_for(1)
            self._row([_pdf_cell(cell) for cell in row], BOLD)
        self._y -= _LEADING

    def finished(self) -> bytes:
        self._canvas.save()
        return self._written.getvalue()

    def _row(self, cells: Sequence[str], font: str) -> None:
        width = (self._width - 2 * _MARGIN) / max(len(cells), 2)
        for at, text in enumerate(cells):
            shown = wrapped(text, _SIZE, width - 4, 1) if text else []
            self._write(_MARGIN + at * width, shown[0] if shown else "", font)
        self._y -= _LEADING

    def _room_for(self, rows: int) -> bool:
        """Begins a page where so many rows do not fit on this one."""
        if self._y - rows * _LEADING > _MARGIN:
            return False
        self._canvas.showPage()
        self._y = self._height - _MARGIN
        return True

    def _write(self, x: int | Any, text: str, font: str) -> None:
        for run in runs(text, font):
            self._canvas.setFont(run.font, _SIZE)
            self._canvas.drawString(x, self._y, run.text)
            x += pdfmetrics.stringWidth(run.text, run.font, _SIZE)


def _pdf_cell(cell: Cell) -> str:
    if isinstance(cell, Money):
        return format_minor(*cell)
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


FORMATS: Final[dict[str, tuple[str, Callable[[Sequence[Section]], bytes]]]] = {
    "csv": ("text/csv", as_csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", as_xlsx),
    "pdf": ("application/pdf", as_pdf),
}
"""Media type and writer."""
