"""Rows for the tables that lists read, made by Postgres itself: some thousands to look at plans, or ten millions.

Writes tables that are there and empty. Row `i` of a table has the id `id_of(KIND, i)` and happened `i` seconds after
the beginning. Every fourth row is about account 1 (a merchant with a quarter of all payments), the rest about others in
turn.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg import Connection

from sinks.account_sums import SPAN_LEGS, AccountSums
from sinks.progress import load_progress

ACCOUNT, PAYMENT, EVENT = 1, 2, 3
"""Kinds of ids."""

BEGINNING: Final = datetime(2025, 1, 1, tzinfo=UTC)

Columns = Mapping[str, str]
"""Column → expression of `i`, the number of the row, and `rows`, how many there are."""


def id_of(kind: int, number: int) -> UUID:
    """The id of a row."""
    return UUID(f"{kind:08x}-0000-7000-8000-{number:012x}")


def time_of(number: int) -> datetime:
    """When it happened."""
    return BEGINNING + timedelta(seconds=number)


def id_sql(kind: int, number: str = "i") -> str:
    """`id_of` of an expression."""
    return f"('{kind:08x}-0000-7000-8000-' || lpad(to_hex({number}), 12, '0'))::uuid"


AT: Final = f"timestamptz '{BEGINNING.isoformat()}' + i * interval '1 second'"
PARTY: Final = id_sql(ACCOUNT, "CASE WHEN i % 4 = 0 THEN 1 ELSE i % (rows / 10) + 2 END")
OTHER: Final = id_sql(ACCOUNT, "(i * 7) % (rows / 10) + rows / 10 + 3")
PLACE: Final = {"shard": "i % 4", "ledger_sequence": "i"}
MONEY: Final = {"amount_minor": "i % 100000 + 1", "currency": "'EUR'"}
_SOURCE: Final = {"ledger_offset": "i", "source": "0", "source_offset": "i", "source_item": "0"}

PAYMENTS: Final[Mapping[str, Columns]] = {
    "accounts": {
        "account_id": id_sql(ACCOUNT),
        "currency": "'EUR'",
        "overdraft_limit_minor": "0",
        "opened_at": AT,
        "changed_at": AT,
        "type": "i % 4",
    },
    "balances": {
        "account_id": id_sql(ACCOUNT),
        "currency": "'EUR'",
        "posted_minor": "i",
        "available_minor": "i",
        "changed_at": AT,
    },
    "decisions": {
        "payment_id": id_sql(PAYMENT),
        "kind": "CASE WHEN i % 50 = 1 THEN 1 ELSE 0 END",  # 2 % are rejected
        "reason": "CASE WHEN i % 50 = 1 THEN 6 ELSE 0 END",
        "payer": PARTY,
        "payee": OTHER,
        **MONEY,
        "decided_at": AT,
        **PLACE,
        "ledger_offset": "i",
        "command_offset": "i",
        "command_item": "0",
    },
    "journal_entries": {
        "journal_id": id_sql(PAYMENT),
        "payment_id": id_sql(PAYMENT),
        "debit_account": PARTY,
        "credit_account": OTHER,
        **MONEY,
        "posted_at": AT,
        **PLACE,
        "entry_index": "0",
        **_SOURCE,
    },
    "returns": {
        "payment_id": id_sql(PAYMENT),
        "reason": "5",
        "payer": PARTY,
        "payee": OTHER,
        **MONEY,
        "returned_at": AT,
        **PLACE,
        **_SOURCE,
    },
    "public_events": {
        "position": "i",
        "event_id": id_sql(EVENT),
        "type": "CASE WHEN i % 50 = 1 THEN 'payment.rejected' ELSE 'payment.posted' END",
        "object": "'pay_' || i",
        "accounts": f"ARRAY[{PARTY}, {OTHER}]",
        "occurred_at": AT,
        "payload": "'{}'",
    },
    "event_accounts": {"account_id": PARTY, "position": "i"},
}
"""What grows with the payments."""

_HAPPENS: Final = {"journal_entries": "i % 50 NOT IN (1, 2)", "returns": "i % 50 = 2"}
"""Which rows there are: of all others, every one."""

_INDEXES: Final = """
SELECT indexname, indexdef
FROM pg_indexes JOIN pg_class ON relname = indexname JOIN pg_index ON indexrelid = pg_class.oid
WHERE tablename = ANY(%s) AND NOT indisprimary AND NOT indisunique"""


def fill(connection: Connection, tables: Mapping[str, Columns], rows: int) -> None:
    """Give each of the tables so many rows, and Postgres its statistics."""
    for table, columns in tables.items():
        names, values = ", ".join(columns), ", ".join(columns.values())
        made = f"(SELECT i, {rows} AS rows FROM generate_series(1, {rows}) AS i) AS made"
        happened = f"WHERE {_HAPPENS[table]}" if table in _HAPPENS else ""
        connection.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {made} {happened}".encode())
    connection.execute(f"ANALYZE {', '.join(tables)}".encode())


def sum_up(connection: Connection, span_legs: int = SPAN_LEGS) -> None:
    """Make the spans of every account that has many entries, as a sink that has nothing else to do."""
    sums, progress = AccountSums(connection, span_legs), load_progress(connection, range(1))
    while not sums.is_done:
        progress.update(sums.go_on(progress, is_idle=True))


@contextmanager
def without_indexes(connection: Connection, tables: Collection[str]) -> Iterator[None]:
    """Meanwhile there are but the keys, and nothing is written to the log: what has millions of rows is filled in a
    fifth of the time.
    """
    made = connection.execute(_INDEXES, (list(tables),)).fetchall()
    for table in tables:
        connection.execute(f"ALTER TABLE {table} SET UNLOGGED".encode())
    for name, _ in made:
        connection.execute(f"DROP INDEX {name}".encode())
    yield
    for _, definition in made:
        connection.execute(definition.encode())
    connection.execute(f"VACUUM ANALYZE {', '.join(tables)}".encode())
