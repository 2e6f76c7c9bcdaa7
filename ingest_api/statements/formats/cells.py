"""CSV (RFC 4180) that a spreadsheet shows and never runs."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

_FORMULA_STARTS: Final = frozenset("=+-@\t\r\n＝＋－＠")
"""OWASP, CSV injection: what a spreadsheet takes for a formula, the wide forms of East Asian keyboards included."""

_BEGINS_A_CELL: Final = re.compile("([;\t\r\n][ \u00a0\u3000]*)(?=[=+\\-@＝＋－＠])")
"""Where the comma is the decimal sign, a spreadsheet takes the whole row for one text and splits it at semicolons."""


def text_cell(text: str) -> str:
    """Foreign text as a cell: an apostrophe in front of what would be a formula, which the spreadsheet hides."""
    shown = _BEGINS_A_CELL.sub(r"\1'", text.replace("\0", "\ufffd"))
    return f"'{shown}" if shown.lstrip(" \u00a0\u3000")[:1] in _FORMULA_STARTS and shown.strip() else shown


def csv_rows(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as UTF-8. Text that is not ours has to be a text_cell."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode()
