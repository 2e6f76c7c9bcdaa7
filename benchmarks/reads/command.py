"""`python -m benchmarks reads`: pages and balances over ten million payments, in a Postgres of its own.

Reads are timed through the functions that the routes call, one after the other on one connection: what Postgres and its
client take, without HTTP. Then the statement is explained once more.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
import uvloop

from benchmarks.machine import machine
from benchmarks.reads.plans import effort_of
from benchmarks.reads.tables import ACCOUNT, PAYMENT, PAYMENTS, fill, id_of, sum_up, time_of, without_indexes
from ingest_api.public_events import reads as events
from ingest_api.reads.accounts import AccountFilter, find_balance, list_accounts
from ingest_api.reads.cursor import Cursor
from ingest_api.reads.database import SESSION_OPTIONS, Database
from ingest_api.reads.payments import PaymentFilter, PaymentType, find_payment, list_payments
from ingest_api.statements.history import Span, entries_page, page_query
from ingest_api.statements.line import Place, fees_account
from millrace.environment import LocalEnvironment
from payments.lifecycle import PaymentStatus
from runtime import migrate
from runtime.settings import Settings

PAGE: Final = 50
SAMPLES: Final = 200
ACCOUNTS_SHARE: Final = 4
"""Accounts and events are a quarter as many as payments: there is one for each party that they name."""


class Timed(msgspec.Struct, frozen=True):
    """One kind of read. `rows` and `nodes`: what its last statement took, in one run of it."""

    read: str
    p50_ms: float
    p99_ms: float
    rows: int
    nodes: tuple[str, ...]


class Results(msgspec.Struct, frozen=True):
    """What `--json` writes."""

    payments: int
    fill_s: int
    database_gib: float
    spans_s: float
    """How long it took to sum up what was there, one account after the other."""

    reads: list[Timed]
    machine: dict[str, str]


class Listening(Database):
    """Keeps the last statement."""

    last: tuple[bytes, Any] = b"", ()

    async def rows(
        self, query: str, parameters: Sequence[Any] | dict[str, Any] = (), *, prepare: bool | None = None
    ) -> list[dict[str, Any]]:
        """All rows."""
        self.last = query.encode(), parameters
        return await super().rows(query, parameters, prepare=prepare)


Read = Callable[[Listening], Awaitable[object]]


def main(arguments: list[str]) -> None:
    """Parse the arguments and run."""
    asked = _parsed(arguments)
    with tempfile.TemporaryDirectory(prefix="millrace-reads-", dir=asked.folder) as home:
        no_kafka = f"127.0.0.1:{asked.port + 1}"
        settings = Settings(home=Path(home), kafka_bootstrap=no_kafka, postgres_port=asked.port)
        with LocalEnvironment(settings, pipeline=False) as environment:
            results = measure(environment.database_url, asked.rows, asked.samples)
    print(table(results))  # noqa: T201 - the result of the command
    if asked.json:
        Path(asked.json).write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks reads", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="payments; 1 GiB of disk for each million")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of each kind of read")
    parser.add_argument("--json", metavar="FILE", help="write the results to this file")
    parser.add_argument("--folder", metavar="FOLDER", help="on which disk")
    parser.add_argument("--port", type=int, default=19_692, help="of Postgres")
    asked = parser.parse_args(arguments)
    if asked.rows < 10_000 or asked.samples < 1:
        parser.error("--rows must be at least 10000, --samples at least 1")
    return asked


def measure(url: str, rows: int, samples: int) -> Results:
    """Fill the database, which has no table yet, and read."""
    before = machine()
    migrate.up(url, "sinks")
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'; SET maintenance_work_mem = '512MB'; SET max_parallel_workers = 0")
        connection.execute("SET synchronous_commit = off")
        with without_indexes(connection, PAYMENTS):
            for name, columns in PAYMENTS.items():
                _say(f"{name}")
                fill(connection, {name: columns}, rows if columns.keys() & {"payer", "debit_account"} else rows // 4)
            _say("indexes")
        fill_s = round(time.monotonic() - began)
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert size is not None, "one row"
    _say("reading")
    deep = "its entries with balances, half-way down"
    unsummed = uvloop.run(_timed(url, {f"{deep}, no spans yet": reads_of(rows)[deep]}, samples))
    began = time.monotonic()
    with psycopg.connect(url) as connection:
        sum_up(connection)
    spans_s = round(time.monotonic() - began, 1)
    reads = uvloop.run(_timed(url, reads_of(rows), samples))
    return Results(rows, fill_s, round(size[0] / 2**30, 1), spans_s, [*unsummed, *reads], before)


async def _timed(url: str, reads: Mapping[str, Read], samples: int) -> list[Timed]:
    database = Listening(url, 1, 1)
    await database.open()
    try:
        with psycopg.connect(url, options=SESSION_OPTIONS) as session:
            return [await _one(database, session, name, read, samples) for name, read in reads.items()]
    finally:
        await database.close()


async def _one(database: Listening, session: psycopg.Connection, name: str, read: Read, samples: int) -> Timed:
    took_ms = []
    for _ in range(samples):
        began = time.perf_counter()
        await read(database)
        took_ms.append((time.perf_counter() - began) * 1_000)
    took_ms.sort()
    effort = effort_of(session, *database.last)
    p99 = took_ms[min(len(took_ms) - 1, len(took_ms) * 99 // 100)]
    return Timed(name, round(took_ms[len(took_ms) // 2], 2), round(p99, 2), effort.rows, effort.nodes)


def reads_of(rows: int) -> Mapping[str, Read]:
    """Every kind of read, by name; places and accounts are drawn anew each time."""
    draw = random.Random(1)
    large, deep = id_of(ACCOUNT, 1).bytes, f"behind {rows * 99 // 100:,}"

    def place() -> Cursor:
        number = draw.randint(rows // 1_000, rows // 100)
        return Cursor(time_of(number), id_of(PAYMENT, number))

    def payments(wanted: PaymentFilter, *, is_deep: bool = False) -> Read:
        return lambda database: list_payments(database, wanted, place() if is_deep else None, PAGE)

    def entries(number: int | None) -> Read:
        after = Place(time_of(number), number % 4, number, 0, 0) if number is not None else None
        span = Span(None, None, True, after, PAGE)
        query, parameters = page_query(span, {"account": UUID(bytes=large), "fees": fees_account("EUR")})

        def read(database: Listening) -> Awaitable[object]:
            database.last = query.encode(), parameters
            return entries_page(database, large, span)

        return read

    def some_event(database: Listening) -> Awaitable[object]:
        after = draw.randint(1, rows // 100)
        return events.page(database, events.Asked(None, None, None, None, after, PAGE, newest_first=True), None)

    def some_balance(database: Listening) -> Awaitable[object]:
        return find_balance(database, id_of(ACCOUNT, draw.randint(2, rows // ACCOUNTS_SHARE)).bytes)

    return {
        "payments, first page": payments(PaymentFilter()),
        f"payments, {deep}": payments(PaymentFilter(), is_deep=True),
        "payments of an account with a quarter of all, first page": payments(PaymentFilter((large,))),
        f"payments of that account, {deep}": payments(PaymentFilter((large,)), is_deep=True),
        "its transfers": payments(PaymentFilter((large,), PaymentType.TRANSFER), is_deep=True),
        "returned payments (2 %)": payments(PaymentFilter(status=PaymentStatus.RETURNED), is_deep=True),
        "payments under way (none fits)": payments(PaymentFilter(status=PaymentStatus.AUTHORISED), is_deep=True),
        "its entries with balances, first page": entries(None),
        "its entries with balances, 1,000 down": entries(rows // 4 * 4 - 4_000),
        "its entries with balances, half-way down": entries(rows // 8 * 4),
        "events, deep": some_event,
        "accounts, deep": lambda database: list_accounts(database, AccountFilter(), id_of(ACCOUNT, rows // 5), PAGE),
        "one payment": lambda database: find_payment(database, place().payment_id.bytes),
        "a balance": some_balance,
    }


def table(results: Results) -> str:
    """Markdown."""
    about = results.machine
    lines = [
        f"{about['date']}, {about['processor']}, {about['cores']} cores, {about['memory']}, load"
        f" {about['load_average']} before the start; {results.payments:,} payments, {results.database_gib} GiB,"
        f" filled in {results.fill_s} s, summed up in {results.spans_s} s.",
        "",
        "| read | p50, ms | p99, ms | rows read | plan |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {r.read} | {r.p50_ms} | {r.p99_ms} | {r.rows:,} | {', '.join(r.nodes)} |" for r in results.reads]
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stderr.write(f"{text} …\n")
