"""Sections → PDF, A4 sideways: columns as wide as their contents, long texts in several lines, numbers to the right.

Equal reports are equal bytes.
"""

import io
from collections.abc import Sequence
from typing import Final

from reportlab.lib.pagesizes import A4, landscape
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from ingest_api.reconciliation.reports.report import Cell, Row, Section
from ingest_api.statements.formats.scripts import BOLD, REGULAR, runs, width, wrapped
from payments.money import Money, format_minor

PDF_ROWS_MAX: Final = 2_000
"""Of one section; nobody reads more on paper, and the other formats have all of them."""

MEASURED_ROWS: Final = 200
"""Of one section, for the widths of its columns; what is wider further down has more lines."""

NAMED_COLUMNS: Final = 2
"""A name and a value of any kind, which stand side by side."""

LINES_MAX: Final = 4
"""Of one cell."""

_MARGIN, _SIZE, _LEADING, _GAP = 30, 6, 8, 6


def as_pdf(sections: Sequence[Section]) -> bytes:
    """All of them, one below another."""
    page = _Page()
    for section in sections:
        page.section(section)
    return page.finished()


def widths(rows: Sequence[Sequence[str]], available: float) -> list[float]:
    """Of columns, by what stands in them; where that is too much, the widest ones give."""
    natural = [max(width(text, _SIZE) for text in column) + _GAP for column in zip(*rows, strict=True)]
    found, left = [0.0] * len(natural), available
    for place, at in enumerate(sorted(range(len(natural)), key=natural.__getitem__)):
        found[at] = min(natural[at], left / (len(natural) - place))
        left -= found[at]
    return found


class _Page:
    """Where the next line goes."""

    def __init__(self) -> None:
        self._written = io.BytesIO()
        self._width, self._height = landscape(A4)
        self._canvas = Canvas(self._written, pagesize=(self._width, self._height), invariant=1, pageCompression=1)
        self._y = self._height - _MARGIN
        self._columns: list[float] = []

    def section(self, section: Section) -> None:
        shown = section.rows[:PDF_ROWS_MAX]
        told = [[_told(cell) for cell in row] for row in [*shown[:MEASURED_ROWS], *section.totals]]
        whole = [row for row in told if len(row) == len(section.columns)]
        self._columns = widths([section.columns, *whole], self._width - 2 * _MARGIN)
        self._room_for(5)
        self._write(_MARGIN, section.title, BOLD)
        self._y -= _LEADING + 2
        self._row(section.columns, BOLD)
        for row in shown or [("none",)]:
            self._row(row, REGULAR, section.columns)
        if len(section.rows) > PDF_ROWS_MAX:
            self._room_for(1)
            self._write(_MARGIN, f"… {len(section.rows) - PDF_ROWS_MAX:,} more: CSV and XLSX have them", REGULAR)
            self._y -= _LEADING
        for row in section.totals:
            self._row(row, BOLD, section.columns)
        self._y -= _LEADING

    def finished(self) -> bytes:
        self._number()
        self._canvas.save()
        return self._written.getvalue()

    def _row(self, row: Row, font: str, header: Sequence[str] = ()) -> None:
        """On a new page below the header again."""
        cells = [
            (cell, wrapped(_told(cell), _SIZE, column - _GAP + 1, LINES_MAX) if _told(cell) else [])
            for cell, column in zip(row, self._columns, strict=False)
        ]
        lines = max((len(found) for _, found in cells), default=1)
        if self._room_for(lines) and header:
            self._row(header, BOLD)
        left = float(_MARGIN)
        for (cell, found), column in zip(cells, self._columns, strict=False):
            is_number = isinstance(cell, Money | int) and len(self._columns) > NAMED_COLUMNS
            for at, text in enumerate(found):
                right = column - _GAP - width(text, _SIZE) if is_number else 0.0
                self._write(left + max(right, 0.0), text, font, self._y - at * _LEADING)
            left += column
        self._y -= max(lines, 1) * _LEADING

    def _room_for(self, lines: int) -> bool:
        """Begins a page where so many lines do not fit on this one."""
        if self._y - lines * _LEADING > _MARGIN:
            return False
        self._number()
        self._canvas.showPage()
        self._y = self._height - _MARGIN
        return True

    def _number(self) -> None:
        self._write(_MARGIN, f"page {self._canvas.getPageNumber()}", REGULAR, _MARGIN - 2 * _LEADING)

    def _write(self, x: float, text: str, font: str, y: float | None = None) -> None:
        for run in runs(text, font):
            self._canvas.setFont(run.font, _SIZE)
            self._canvas.drawString(x, self._y if y is None else y, run.text)
            x += pdfmetrics.stringWidth(run.text, run.font, _SIZE)


def _told(cell: Cell) -> str:
    if isinstance(cell, Money):
        return format_minor(*cell)
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
