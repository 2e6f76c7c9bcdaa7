"""A statement as PDF: A4 pages with the balances, a table of entries and totals. Equal statements are equal bytes."""

import io
from collections.abc import Sequence
from typing import Final

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from ingest_api.http.resources import account_text
from ingest_api.statements.formats.rendering import Head
from ingest_api.statements.formats.scripts import BOLD, REGULAR, runs, width, wrapped
from ingest_api.statements.line import Line
from ingest_api.statements.totals import Totals
from payments.money import format_minor

_MARGIN: Final = 36
_RIGHT: Final = A4[0] - _MARGIN
_SIZE: Final = 7
_LEADING: Final = 9
_WHAT, _TEXT, _AMOUNT, _BALANCE = _MARGIN + 82, _MARGIN + 208, _RIGHT - 84, _RIGHT
"""Left edges of the texts and right edges of the numbers. The longest balance, 999,999,999,999,999, takes 70 points."""

_TEXT_WIDTH: Final = _AMOUNT - 76 - _TEXT
_TEXT_LINES_MAX: Final = 4
"""A description of 140 wide characters takes four; whatever else would be longer ends in …"""


class PdfStatement:
    """Nothing is written before `foot`: a PDF ends with a list of where its parts are."""

    entries_max = 10_000
    """Measured: 10 s, 1 MB, 104 MB of memory where CSV takes 85 MB. Nobody reads more on paper."""

    def __init__(self) -> None:
        self._written = io.BytesIO()
        self._canvas = Canvas(self._written, pagesize=A4, invariant=1, pageCompression=1)
        self._head: Head
        self._y = 0.0

    def head(self, head: Head) -> bytes:
        self._head = head
        self._canvas.setTitle(f"Account statement {head.period} {account_text(head.account)}")
        self._begin_page()
        for title, minor in (
            ("Opening balance", head.opening_minor),
            (f"Credits ({head.credits.entries})", head.credits.amount_minor),
            (f"Debits ({head.debits.entries})", -head.debits.amount_minor),
            ("Closing balance", head.closing_minor),
            ("Available at the end", head.available_minor),
            ("Held at the end", head.held_minor),
            ("Incoming at the end", head.incoming_minor),
        ):
            self._write(_MARGIN, title)
            self._write_right(_MARGIN + 200, self._money(minor))
            self._y -= _LEADING
        self._y -= _LEADING
        self._column_titles()
        return b""

    def lines(self, lines: Sequence[Line]) -> bytes:
        for line in lines:
            self._entry(line)
        return b""

    def foot(self, totals: Totals) -> bytes:
        self._room_for(4 + sum(1 for _ in totals))
        self._y -= 2 * _LEADING
        self._titles((_MARGIN, "Totals"), (_MARGIN + 200, "credits"), (_MARGIN + 300, "debits"), (_RIGHT, "fees"))
        for kind, total in totals:
            self._write(_MARGIN, kind.replace("_", " "))
            self._write_right(_MARGIN + 200, self._money(total.credited_minor))
            self._write_right(_MARGIN + 300, self._money(-total.debited_minor))
            self._write_right(_RIGHT, self._money(total.fees_on_credits_minor + total.fees_on_debits_minor))
            self._y -= _LEADING
        self._canvas.save()
        return self._written.getvalue()

    def _entry(self, line: Line) -> None:
        texts = wrapped(line.description, _SIZE, _TEXT_WIDTH, _TEXT_LINES_MAX)
        rows = max(2, len(texts))
        if self._room_for(rows):
            self._column_titles()
        other = line.counterparty_name or (account_text(line.counterparty) if line.counterparty is not None else "")
        self._write(_MARGIN, f"{line.place.posted_at:%Y-%m-%d %H:%M:%S}")
        self._write(_WHAT, line.kind.replace("_", " "))
        self._write_right(_AMOUNT, self._money(line.amount_minor))
        self._write_right(_BALANCE, self._money(line.balance_minor))
        for row in range(rows):
            if row == 1:
                self._write(_WHAT, other)
            if row < len(texts):
                self._write(_TEXT, texts[row])
            self._y -= _LEADING
        self._y -= 3
        self._canvas.line(_MARGIN, self._y + _LEADING, _RIGHT, self._y + _LEADING)

    def _room_for(self, rows: int) -> bool:
        """Begins a page where so many rows do not fit on this one."""
        if self._y - rows * _LEADING > _MARGIN:
            return False
        self._canvas.showPage()
        self._begin_page()
        return True

    def _begin_page(self) -> None:
        head = self._head
        self._canvas.setLineWidth(0.25)
        self._canvas.setStrokeGray(0.7)
        self._y = A4[1] - _MARGIN
        page = f"page {self._canvas.getPageNumber()}"
        self._titles((_MARGIN, f"Account statement {head.period} (UTC)"), (_RIGHT, page))
        state = "final" if head.is_final else f"as of {head.as_of:%Y-%m-%d %H:%M:%S}, not final"
        self._write(_MARGIN, f"{account_text(head.account)} · {head.currency} · {state}")
        self._y -= 2 * _LEADING

    def _column_titles(self) -> None:
        self._titles(
            (_MARGIN, "time"), (_WHAT, "entry"), (_TEXT, "description"), (_AMOUNT, "amount"), (_RIGHT, "balance")
        )

    def _titles(self, *titles: tuple[float, str]) -> None:
        """The last one, and those of numbers, end where they are put."""
        for x, title in titles:
            if title in {"amount", "balance", "credits", "debits", "fees"} or x == _RIGHT:
                self._write_right(x, title, BOLD)
            else:
                self._write(x, title, BOLD)
        self._y -= _LEADING + 2

    def _write(self, x: float, text: str, font: str = REGULAR) -> None:
        for run in runs(text, font):
            self._canvas.setFont(run.font, _SIZE)
            self._canvas.drawString(x, self._y, run.text)
            x += pdfmetrics.stringWidth(run.text, run.font, _SIZE)

    def _write_right(self, x: float, text: str, font: str = REGULAR) -> None:
        self._write(x - width(text, _SIZE, font), text, font)

    def _money(self, minor: int) -> str:
        """With thousands apart: 1,234,567.89."""
        whole, point, fraction = format_minor(minor, self._head.currency).partition(".")
        return f"{int(whole):,}{point}{fraction}" if whole != "-0" else f"-0{point}{fraction}"
