"""Rows made one by one in Python, for entries with details: rare beside plain payments, and of any shape."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg import Connection

from payments.entries import Entry

_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def send_rows(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """COPY the rows. Raises psycopg.Error."""
    if not rows:
        return
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)


def time_of(entry: Entry) -> datetime:
    """When the entry was decided."""
    return moment(entry.decided_at_us)


def moment(unix_us: int) -> datetime:
    """Microseconds since 1970 as a time."""
    return _UNIX_EPOCH + timedelta(microseconds=unix_us)
