"""The binary COPY stream: what Postgres reads from it, psycopg reads back from Postgres."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments.identifiers import NIL, is_system, system_account
from schemas.codec.ledger import ENTRY_FIELDS
from sinks.copy_rows import BIGINT, CURRENCY, ID, INTEGER, SMALLINT, TIME, CopyTarget, currency_text, postgres_time
from sinks.ledger_batch import ENTRY_DTYPE, system_accounts

TARGET = CopyTarget(
    "copied",
    {"id": ID, "small": SMALLINT, "whole": INTEGER, "big": BIGINT, "currency": CURRENCY, "at": TIME},
    text_column="text",
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """One row as a test thinks of it; times in microseconds since 1970."""

    id: bytes
    small: int
    whole: int
    big: int
    currency: bytes
    at_us: int
    text: str | None


def signed(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


ROWS = st.lists(
    st.builds(
        Row,
        st.binary(min_size=16, max_size=16),
        signed(16),
        signed(32),
        signed(64),
        st.sampled_from([b"EUR", b"JPY", b"EU\0", b"\0\0\0"]),
        st.integers(0, 253_402_300_799_999_999),  # 1970 to 9999
        st.none() | st.text(st.characters(codec="utf-8"), max_size=140),
    ),
    min_size=1,
    max_size=30,
)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database) as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute(
            "CREATE TEMP TABLE copied (id uuid, small smallint, whole integer, big bigint, currency char(3),"
            " at timestamptz, text text)"
        )
        yield connection


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_what_is_sent_is_what_is_read(connection: psycopg.Connection, rows: list[Row]) -> None:
    connection.execute("TRUNCATE copied")
    TARGET.send(connection, *packed(rows))
    with connection.cursor(binary=True) as cursor:
        read = cursor.execute("SELECT id, small, whole, big, currency, at, text FROM copied").fetchall()
    assert sorted(map(str, read)) == sorted(str(as_read(row)) for row in rows)


def packed(rows: list[Row]) -> tuple[np.ndarray, dict[int, str]]:
    columns = TARGET.rows(
        {
            "id": np.frombuffer(b"".join(row.id for row in rows), "V16"),
            "small": np.array([row.small for row in rows]),
            "whole": np.array([row.whole for row in rows]),
            "big": np.array([row.big for row in rows], np.int64),
            "currency": currency_text(np.frombuffer(b"".join(row.currency for row in rows), "V3")),
            "at": postgres_time(np.array([row.at_us for row in rows], np.int64)),
        }
    )
    return columns, {index: row.text for index, row in enumerate(rows) if row.text is not None}


def as_read(row: Row) -> tuple[object, ...]:
    return (
        UUID(bytes=row.id),
        row.small,
        row.whole,
        row.big,
        row.currency.decode().rstrip("\0").ljust(3),
        EPOCH + timedelta(microseconds=row.at_us),
        None if row.text is None else row.text.replace("\0", "\ufffd"),
    )


def test_nothing_is_sent_for_no_rows(connection: psycopg.Connection) -> None:
    TARGET.send(connection, np.empty(0, [("field_count", SMALLINT)]))
    assert connection.execute("SELECT count(*) FROM copied").fetchone() == (0,)


def test_a_plain_number_stands_in_every_row(connection: psycopg.Connection) -> None:
    target = CopyTarget("copied", {"small": SMALLINT, "big": BIGINT})
    target.send(connection, target.rows({"small": 7, "big": np.array([1, 2])}))
    assert connection.execute("SELECT small, big FROM copied ORDER BY big").fetchall() == [(7, 1), (7, 2)]


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1))
def test_system_accounts_are_told_as_the_core_tells_them(accounts: list[bytes]) -> None:
    accounts += [NIL, system_account(1, "EUR")]
    column = np.frombuffer(b"".join(accounts), "V16")
    assert system_accounts(column).tolist() == [is_system(account) for account in accounts]


def test_an_entry_is_as_wide_as_its_fields_say() -> None:
    assert ENTRY_DTYPE.names == tuple(name for name, _ in ENTRY_FIELDS)
    assert ENTRY_DTYPE.itemsize == 97
