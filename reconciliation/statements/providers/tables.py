"""A file of CSV or XLSX → its rows as texts, one at a time. Knows nothing of what the columns mean.

CSV: any of the four usual delimiters. XLSX: openpyxl's streaming reader; the archive is looked through first, so that
neither its size unpacked nor a DOCTYPE inside can hurt. Numbers of a sheet are taken with the 15 digits that Excel
keeps and shows.
"""

import csv
from collections.abc import Iterator
from datetime import date, datetime
from numbers import Real
from zipfile import BadZipFile, ZipFile, ZipInfo

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source, head_text, text_lines

Row = tuple[int, list[str]]
"""Number of a row, from 1, and its cells."""

UNPACKED_BYTES_MAX = 1 << 30
RATIO_MAX = 200
"""A sheet of numbers packs 10 to 20 times; a bomb 1,000 times."""
MEMBERS_MAX = 1_000
COLUMNS_MAX = 2_000
_DELIMITERS = ",;\t|"
csv.field_size_limit(1 << 20)


def csv_rows(source: Source) -> Iterator[Row]:
    """Rows of a CSV file that are not blank. Raises Refused."""
    lines = _Numbered(text_lines(source))
    try:
        for cells in csv.reader(lines, delimiter=_delimiter(head_text(source)), strict=False):
            if any(cell.strip() for cell in cells):
                yield lines.number, [cell.strip() for cell in cells[:COLUMNS_MAX]]
    except csv.Error as error:
        raise Refused(Reason.STRUCTURE, f"line {lines.number}: {error}") from None


class _Numbered:
    """Lines for the csv module, which may take several for one row: the number is the last one's."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self.number = 0

    def __iter__(self) -> "_Numbered":
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        return line + "\n"


def _delimiter(text: str) -> str:
    """The delimiter that stands most often in the fullest of the first lines."""
    lines = text.splitlines()[:20]
    return max(_DELIMITERS, key=lambda mark: max((line.count(mark) for line in lines), default=0))


def xlsx_rows(source: Source) -> Iterator[Row]:
    """Rows of the sheets of a workbook that are not blank, sheet after sheet. Raises Refused."""
    _refuse_bomb(source)
    try:
        with source.path.open("rb") as stream:  # by its path openpyxl would go by its name
            book = load_workbook(stream, read_only=True, data_only=True)
            for sheet in book.worksheets:
                for number, cells in enumerate(sheet.iter_rows(values_only=True, max_col=COLUMNS_MAX), start=1):
                    texts = [_text(cell) for cell in cells]
                    if any(texts):
                        yield number, texts
    except (InvalidFileException, BadZipFile, KeyError, ValueError, TypeError, SyntaxError, OSError, EOFError) as error:
        raise Refused(Reason.UNREADABLE, f"the workbook can't be read: {error}") from None


def _refuse_bomb(source: Source) -> None:
    try:
        with ZipFile(source.path) as archive:
            members = archive.infolist()
            if not any(member.filename.endswith("workbook.xml") for member in members):
                raise Refused(Reason.ARCHIVE, "the file is an archive (ZIP) and no workbook; unpack it first")
            unpacked = sum(member.file_size for member in members)
            if len(members) > MEMBERS_MAX or unpacked > UNPACKED_BYTES_MAX or unpacked > RATIO_MAX * source.size:
                raise Refused(Reason.TOO_LARGE, f"the workbook is {unpacked:,} bytes unpacked: it was made to do harm")
            for member in members:
                _refuse_doctype(archive, member)
    except (BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise Refused(Reason.UNREADABLE, f"the workbook can't be read: {error}") from None


def _refuse_doctype(archive: ZipFile, member: ZipInfo) -> None:
    with archive.open(member) as stream:
        if b"<!DOCTYPE" in stream.read(1 << 16).upper():
            raise Refused(Reason.DOCTYPE, f"{member.filename} in the workbook declares a DOCTYPE")


def _text(cell: object) -> str:
    """A cell as a report writes it."""
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).lower()
        case datetime() | date():
            return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
        case int():
            return str(cell)
        case Real():
            return format(cell, ".15g")
        case _:
            return str(cell).strip()
