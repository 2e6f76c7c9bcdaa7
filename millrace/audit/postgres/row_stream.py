"""Rows of one table in ledger order, compared with the rows that the ledger makes, without keeping either.

Reads Postgres by binary COPY (PostgreSQL manual, COPY, "Binary Format"): fixed-width columns, so a run of rows is one
numpy array and a comparison of bytes. The server sorts (on disk where it has to); memory here is one batch.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from uuid import UUID

import numpy as np
from psycopg import Connection, sql

from millrace.audit.ledger.entry_batch import Column
from millrace.audit.report import Differs, Invariant

_HEADER_BYTES = 19
_TRAILER_BYTES = 2
_POSTGRES_EPOCH_US = 946_684_800_000_000

ID, SMALLINT, INTEGER, BIGINT, TIME, CURRENCY = "V16", ">i2", ">i4", ">i8", ">i8", "V3"


class Table:
    """Fixed-width columns by name; the first one is the key that a difference is reported under."""

    def __init__(self, name: str, columns: Mapping[str, str], order: tuple[str, ...]) -> None:
        self.name = name
        self.columns = dict(columns)
        self.order = order
        fields: list[tuple[str, str]] = [("field_count", SMALLINT)]
        for column, width in columns.items():
            fields += [(f"{column}:length", INTEGER), (column, width)]
        self.dtype = np.dtype(fields)

    def rows(self, values: Mapping[str, Column]) -> Column:
        """These columns as Postgres would send them."""
        rows = np.empty(len(values[self.order[-1]]), self.dtype)
        rows["field_count"] = len(self.columns)
        for column, width in self.columns.items():
            rows[f"{column}:length"] = np.dtype(width).itemsize
            rows[column] = values[column]
        return rows


class RowStream:
    """The table's rows, to be met by `expect` in the same order and closed by `finish`."""

    def __init__(self, connection: Connection, table: Table, stack: ExitStack) -> None:
        self._table = table
        statement = sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT (FORMAT binary)").format(
            sql.SQL(", ").join(map(sql.Identifier, table.columns)),
            sql.Identifier(table.name),
            sql.SQL(", ").join(map(sql.Identifier, table.order)),
        )
        cursor = stack.enter_context(connection.cursor())
        self._blocks: Iterator[bytes | bytearray | memoryview] = iter(stack.enter_context(cursor.copy(statement)))
        self._buffer = bytearray()
        self._ended = False
        self._fill(_HEADER_BYTES)
        del self._buffer[:_HEADER_BYTES]
        self.compared = 0

    def expect(self, rows: Column) -> None:
        """Raises Differs where the next rows are others."""
        expected = rows.tobytes()
        self._fill(len(expected))
        found = bytes(self._buffer[: len(expected)])
        if found != expected:
            raise self._difference(rows, found)
        del self._buffer[: len(expected)]
        self.compared += len(rows)

    def finish(self) -> None:
        """Raises Differs where rows are left."""
        self._fill(self._table.dtype.itemsize)
        if self._buffer:
            row = self._row(bytes(self._buffer), 0)
            raise Differs(Invariant.TABLES, self._key(row), "no such row", self._shown(row, list(self._table.columns)))

    def _fill(self, wanted: int) -> None:
        """Read until so many bytes of rows are there, or the stream ends: its last two bytes are the trailer."""
        while not self._ended and len(self._buffer) < wanted + _TRAILER_BYTES:
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
                del self._buffer[-_TRAILER_BYTES:]
            else:
                self._buffer += block

    def _difference(self, rows: Column, found: bytes) -> Differs:
        width = self._table.dtype.itemsize
        at = next(
            index for index in range(len(rows)) if found[index * width : (index + 1) * width] != rows[index].tobytes()
        )
        expected = rows[at]
        if len(found) < (at + 1) * width:
            return Differs(Invariant.TABLES, self._key(expected), "this row", "no such row")
        row = self._row(found, at * width)
        if self._position(row) > self._position(expected):
            return Differs(Invariant.TABLES, self._key(expected), "this row", "no such row at its place in the ledger")
        if self._position(row) < self._position(expected):
            return Differs(Invariant.TABLES, self._key(row), "no such row", self._shown(row, list(self._table.columns)))
        differing = [name for name in self._table.columns if row[name] != expected[name]] or list(self._table.columns)
        key = self._key(expected)
        return Differs(Invariant.TABLES, key, self._shown(expected, differing), self._shown(row, differing))

    def _row(self, found: bytes, at: int) -> np.void:
        row: np.void = np.frombuffer(found, self._table.dtype, 1, at)[0]
        return row

    def _position(self, row: np.void) -> tuple[int, ...]:
        return tuple(int(row[name]) for name in self._table.order)

    def _key(self, row: np.void) -> str:
        name = next(iter(self._table.columns))
        return f"table {self._table.name}, {name} {UUID(bytes=row[name].tobytes())}"

    def _shown(self, row: np.void, names: list[str]) -> str:
        return ", ".join(f"{name} {_text(row[name])}" for name in names)


def postgres_time(unix_us: Column) -> Column:
    """Microseconds since 1970 as those of a binary timestamptz, which count from 2000."""
    return unix_us.astype(np.int64) - _POSTGRES_EPOCH_US


def currency_text(codes: Column) -> Column:
    """char(3) pads with blanks where the ledger has zeros."""
    octets = np.ascontiguousarray(codes).view(np.uint8).copy()
    octets[octets == 0] = ord(" ")
    return octets.view(CURRENCY)


def _text(value: np.generic | np.void) -> str:
    if not isinstance(value, np.void):
        return str(value)
    content = value.tobytes()
    return str(UUID(bytes=content)) if len(content) == 16 else content.decode("ascii", "replace")
