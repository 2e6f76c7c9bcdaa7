"""One state of the database, read by several queries at once.

Keeps a transaction open in which rows are read by cursors, and whose snapshot other connections import, so that tables
agree with each other and with sink_progress while the sink goes on.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection, sql

from millrace.audit.ledger.partition_log import AuditImpossible
from runtime.postgres import connect
from sinks.progress import INPUT_COLUMNS

PROGRESS = ("shard", "ledger_next_offset", "ledger_sequence", *INPUT_COLUMNS, "last_hash")

_FETCH_ROWS = 10_000


class AppliedTo(NamedTuple):
    """A row of sink_progress: how far one shard's ledger is in the tables."""

    ledger_next_offset: int
    ledger_sequence: int
    input_next_offsets: tuple[int, ...]
    last_hash: bytes


class DatabaseSnapshot:
    """Opened by `take`, closed with its stack."""

    def __init__(self, dsn: str, stack: ExitStack) -> None:
        self._dsn = dsn
        self._holder = self._session(stack)
        row = self._holder.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        self._snapshot_id: str = row[0]
        self._cursor_numbers = count()

    def connect(self, stack: ExitStack) -> Connection:
        """Another connection that sees the same state: for COPY, which has a connection to itself."""
        connection = self._session(stack)
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self._snapshot_id)))
        return connection

    def rows(self, query: str, stack: ExitStack) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, fetched as they are used."""
        cursor = stack.enter_context(self._holder.cursor(name=f"audit_{next(self._cursor_numbers)}"))
        cursor.itersize = _FETCH_ROWS
        cursor.execute(query.encode())
        return iter(cursor)

    def progress(self) -> dict[int, AppliedTo]:
        """sink_progress by shard. Raises AuditImpossible where there are no tables."""
        try:
            rows = self._holder.execute(f"SELECT {', '.join(PROGRESS)} FROM sink_progress".encode()).fetchall()
        except psycopg.errors.UndefinedTable as error:
            raise AuditImpossible(
                "this database has no table sink_progress: no sink has run on it; check DATABASE_URL"
            ) from error
        return {
            shard: AppliedTo(at, sequence, tuple(inputs), bytes(last_hash))
            for shard, at, sequence, *inputs, last_hash in rows
        }

    def _session(self, stack: ExitStack) -> Connection:
        connection = stack.enter_context(connect(self._dsn, "millrace audit"))
        connection.autocommit = True
        # An audit waits for the log between two rows, for as long as the log is long.
        connection.execute("SET statement_timeout = 0")
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        connection.autocommit = False
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return connection
