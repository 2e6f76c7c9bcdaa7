"""CSV (RFC 4180) that a spreadsheet shows and never runs."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

_SIGNS: Final = "=+\\-@＝＋－＠"
"""OWASP, CSV injection: what a spreadsheet takes for a formula, the wide forms of East Asian keyboards included."""

_RUNS: Final = re.compile(f"[\\s\x00-\x1f\x7f-\x9f]*[{_SIGNS}]|[ \u00a0\u3000]*[\t\r\n]\\s*\\S")
"""Spaces and control characters in front don't help: a spreadsheet drops them."""

_BEGINS_A_CELL: Final = re.compile(f"([;\t\r\n]\\s*)(?=[{_SIGNS}])")
"""Where the comma is the decimal sign, a spreadsheet takes the whole row for one text and splits it at semicolons."""


def text_cell(text: str) -> str:
    """Foreign text as a cell: an apostrophe in front of what would be a formula, which the spreadsheet hides."""
    shown = _BEGINS_A_CELL.sub(r"\1'", text.replace("\0", "\ufffd"))
    return f"'{shown}" if _RUNS.match(shown) else shown


def csv_rows(rows: Iterable[Iterable[object]]) -> bytes:
    """Rows as UTF-8. Text that is not ours has to be a text_cell."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode()
