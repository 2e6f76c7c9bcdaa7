"""A file of 94 columns, with or without line ends → its records; and the fields of each kind of record, by column.

Columns are counted from 1, as the rules print them. A short line was trimmed and is filled with blanks; a line that
is too long, or a field with a character that its place doesn't allow, has lost its columns and is refused.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from reconciliation.statements.nacha.rules import RECORD_COLUMNS
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source, head_text, refuse_nul, text_lines

_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
_RECORDS_READ = 10_000
FILLER = "9" * RECORD_COLUMNS


class Record(NamedTuple):
    """One record: its number from 1 and its 94 columns."""

    number: int
    text: str

    def field(self, first: int, last: int) -> str:
        """The columns first…last, without blanks around them."""
        return self.text[first - 1 : last].strip()

    def digits(self, first: int, last: int, name: str) -> int:
        """The number in these columns. Raises Refused when they are not all digits."""
        text = self.text[first - 1 : last]
        if not re.fullmatch(r"\d+", text, re.ASCII):
            raise Refused(Reason.FIELD, f"{name} (columns {first}–{last}) is {text!r}, not a number")
        return int(text)

    def one_of(self, first: int, last: int, name: str, allowed: frozenset[str]) -> str:
        """The code in these columns. Raises Refused when the rules have none such."""
        text = self.text[first - 1 : last]
        if text not in allowed:
            raise Refused(Reason.FIELD, f"{name} (columns {first}–{last}) is {text!r}, which the rules don't have")
        return text


def records(source: Source) -> Iterator[Record]:
    """The records of a file, without the filler (9…9) at its end. Raises Refused."""
    for number, text in text_lines(source) if _has_lines(source) else _cut(source):
        line = text.rstrip("\r\n").rstrip(" ") if len(text) > RECORD_COLUMNS else text
        if not line.strip() or line.strip() == FILLER:
            continue
        if len(line) > RECORD_COLUMNS:
            raise Refused(Reason.STRUCTURE, f"line {number} has {len(line)} columns, a record has {RECORD_COLUMNS}")
        yield Record(number, line.ljust(RECORD_COLUMNS))


def refuse_control_characters(record: Record) -> None:
    """Letters of any script are taken as they come; a control character is damage. Raises Refused."""
    found = _CONTROL_CHARACTER.search(record.text)
    if found:
        raise Refused(Reason.FIELD, f"column {found.start() + 1} has the control character {found[0]!r}")


def _has_lines(source: Source) -> bool:
    return bool(re.search(r"[\r\n]", head_text(source)[: 2 * RECORD_COLUMNS]))


def _cut(source: Source) -> Iterator[tuple[int, str]]:
    """Records that follow each other without line ends."""
    refuse_nul(source)
    with source.path.open("r", encoding=source.encoding, errors="replace", newline="") as stream:
        number = 0
        while block := stream.read(RECORD_COLUMNS * _RECORDS_READ):
            for start in range(0, len(block), RECORD_COLUMNS):
                number += 1
                yield number, block[start : start + RECORD_COLUMNS].rstrip("\r\n")
