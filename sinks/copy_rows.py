"""Columns of numbers and ids laid out as PostgreSQL's binary COPY rows, without touching a row in Python.

Source: PostgreSQL manual, COPY, "Binary Format": an 11-byte signature, flags and header length, then per row a 16-bit
field count and per field a 32-bit length and the value in network byte order, then -1.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, sql

Column = NDArray[Any]
"""One value per row."""

ID: Final = "V16"
CURRENCY: Final = "S3"
SMALLINT: Final = ">i2"
INTEGER: Final = ">i4"
BIGINT: Final = ">i8"
TIME: Final = ">i8"
"""Microseconds since 2000-01-01: see `postgres_time`."""

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = -1
_POSTGRES_EPOCH_US = 946_684_800_000_000


class CopyTarget:
    """A table and the fixed-width columns sent to it; `text_column` is one more, of any length or NULL, and comes last.

    Formats are numpy's; every value is as wide as its format, and none is NULL.
    """

    def __init__(self, table: str, columns: Mapping[str, str], text_column: str | None = None) -> None:
        fields: list[tuple[str, str]] = [("field_count", SMALLINT)]
        for name, width in columns.items():
            fields += [(f"{name}:length", INTEGER), (name, width)]
        names = list(columns)
        if text_column is not None:
            fields.append((f"{text_column}:length", INTEGER))
            names.append(text_column)
        self._columns = dict(columns)
        self._text_column = text_column
        self._field_count = len(names)
        self._dtype = np.dtype(fields)
        self._statement = (
            sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)")
            .format(sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names)))
            .as_bytes()
        )

    def rows(self, values: Mapping[str, Column | int]) -> Column:
        """The rows of these columns, in their order; a plain number stands in every row."""
        count = max(len(value) for value in values.values() if not isinstance(value, int))
        rows = np.empty(count, self._dtype)
        rows["field_count"] = self._field_count
        for name, width in self._columns.items():
            rows[f"{name}:length"] = np.dtype(width).itemsize
            rows[name] = values[name]
        if self._text_column is not None:
            rows[f"{self._text_column}:length"] = _NULL
        return rows

    def encode(self, rows: Column, texts: Mapping[int, str]) -> bytes:
        """A whole COPY stream; `texts` by row. Rows with a text come last."""
        if not texts:
            return b"".join((_HEADER, rows.tobytes(), _TRAILER))
        plain = np.ones(len(rows), bool)
        plain[list(texts)] = False
        worded = [_with_text(rows[row].tobytes(), text) for row, text in texts.items()]
        return b"".join((_HEADER, rows[plain].tobytes(), *worded, _TRAILER))

    def send(self, connection: Connection, rows: Column, texts: Mapping[int, str] | None = None) -> None:
        """COPY the rows into the table. Raises psycopg.Error."""
        if not len(rows):
            return
        with connection.cursor() as cursor, cursor.copy(self._statement) as copy:
            copy.write(self.encode(rows, texts or {}))


def _with_text(row: bytes, text: str) -> bytes:
    # PostgreSQL's text holds every character but U+0000, which a producer of commands is free to send.
    value = text.replace("\0", "\ufffd").encode()
    return row[:-4] + len(value).to_bytes(4, "big") + value


def postgres_time(unix_us: Column) -> Column:
    """Microseconds since 1970 as those of PostgreSQL's binary timestamptz."""
    return unix_us - _POSTGRES_EPOCH_US


def currency_text(code: Column) -> Column:
    """Three bytes of a currency as text: the zeros of a missing or short code become blanks, as char(3) pads."""
    letters = np.ascontiguousarray(code).view(np.uint8)
    return np.where(letters == 0, np.uint8(0x20), letters).view("S3")
