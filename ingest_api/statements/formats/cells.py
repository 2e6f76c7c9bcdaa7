"""CSV (RFC 4180) that a spreadsheet shows and never runs."""

import csv
import io
from collections.abc import Iterable
from typing import Final

_FORMULA_STARTS: Final = frozenset("=+-@\t\r\n＝＋－＠")
"""OWASP, CSV injection: what a spreadsheet takes for a formula, the wide forms of East Asian keyboards included."""


def text_cell(text: str) -> str:
    """Foreign text as a cell: an apostrophe in front of what would be a formula, which the spreadsheet hides."""
    shown = text.replace("\0", "\ufffd")
    return f"'{shown}" if shown.lstrip(" \u00a0\u3000")[:1] in _FORMULA_STARTS and shown.strip() else shown


def csv_rows(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as UTF-8. Text that is not ours has to be a text_cell."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode()
