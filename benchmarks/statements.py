"""`python -m benchmarks.statements`: what a busy account's balances, pages, statements and tax report cost.

One account has all of its entries in one month, in a Postgres of the benchmark's own. Each statement is written by a
process of its own, whose peak of memory is then its own, too.
"""

import argparse
import asyncio
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import psycopg

from benchmarks.machine import machine
from ingest_api.reads.accounts import find_balance
from ingest_api.reads.database import Database
from ingest_api.statements.download import READING
from ingest_api.statements.formats.files import FORMATS, StatementFormat
from ingest_api.statements.history import Span, entries_page
from ingest_api.statements.moments import Month, Year
from ingest_api.statements.month import rendered
from ingest_api.statements.tax import tax_report
from millrace.environment import LocalEnvironment, ports
from runtime import migrate
from runtime.settings import Settings

ACCOUNT: Final = UUID("01980000-0000-7000-8000-000000000001").bytes
MONTH: Final = Month(2026, 9)
PDF_ENTRIES: Final = 10_000

_FILL: Final = (
    "INSERT INTO accounts (account_id, currency, overdraft_limit_minor, opened_at, changed_at)"
    " VALUES (%(account)s, 'EUR', 0, %(start)s, %(start)s)",
    """INSERT INTO decisions (payment_id, kind, reason, payer, payee, amount_minor, currency, decided_at, shard,
        ledger_sequence, ledger_offset, command_offset, command_item, description)
    SELECT gen_random_uuid(), 0, 0,
        CASE n %% 2 WHEN 0 THEN %(account)s::uuid ELSE gen_random_uuid() END,
        CASE n %% 2 WHEN 1 THEN %(account)s::uuid ELSE gen_random_uuid() END,
        100 + n %% 2, 'EUR', %(start)s + n / 20 * %(step)s::interval, 0, n / 20, n, n, n %% 20, 'invoice ' || n
    FROM generate_series(1, %(entries)s) AS n""",
    """INSERT INTO journal_entries (journal_id, payment_id, debit_account, credit_account, amount_minor, currency,
        posted_at, shard, ledger_sequence, ledger_offset, entry_index, source, source_offset, source_item)
    SELECT payment_id, payment_id, payer, payee, amount_minor, 'EUR', decided_at, 0, ledger_sequence, 0, command_item,
        0, 0, 0 FROM decisions""",
    """INSERT INTO balances
    SELECT account_id, 'EUR', sum(amount_minor), sum(amount_minor), max(posted_at) FROM account_legs
    WHERE account_id = %(account)s GROUP BY account_id""",
)
"""Debits and credits in turn, twenty of one microsecond: so many come in one record of a batch."""


class Written(NamedTuple):
    """One body: seconds until its first part and its last, and what it took."""

    first_part_s: float
    seconds: float
    bytes: int
    peak_mb: int


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statements", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--json", metavar="FILE", help="write the results to this file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as home:
        settings = Settings(home=Path(home), postgres_port=ports.free_base([]), kafka_bootstrap="127.0.0.1:1")
        with LocalEnvironment(settings, pipeline=False) as environment:
            results = measured(environment.database_url, asked.entries)
    text = msgspec.json.format(msgspec.json.encode(results | {"machine": machine()}), indent=2)
    sys.stdout.write(f"{text.decode()}\n")
    if asked.json:
        Path(asked.json).write_bytes(text + b"\n")


def measured(url: str, entries: int) -> dict[str, object]:
    """Every read by name."""
    _fill(url, entries)
    queries = asyncio.run(_queries(url))
    formats = [*StatementFormat] if entries <= PDF_ENTRIES else [*set(StatementFormat) - {StatementFormat.PDF}]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as each:
        bodies = {one.value: each.apply(_written, (url, one))._asdict() for one in sorted(formats)}
    return {"entries": entries, "seconds": queries, "statements": bodies}


def _fill(url: str, entries: int) -> None:
    migrate.up(url, "sinks")
    step = (MONTH.end - MONTH.start - timedelta(seconds=1)) / (entries // 20 + 1)
    asked = {"account": UUID(bytes=ACCOUNT), "start": MONTH.start, "step": step, "entries": entries}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _FILL:
            connection.execute(statement.encode(), asked)
        connection.execute("VACUUM ANALYZE")


async def _queries(url: str) -> dict[str, float]:
    """Seconds of each; the second of two, as the first fills the caches."""
    database = Database(url, 1, 1, READING)
    await database.open()
    newest = Span(None, None, newest_first=True, after=None, limit=100)
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "balance now": lambda: find_balance(database, ACCOUNT),
        "balance in the middle of the month": lambda: find_balance(
            database, ACCOUNT, MONTH.start + (MONTH.end - MONTH.start) / 2
        ),
        "balance before all entries": lambda: find_balance(database, ACCOUNT, MONTH.start),
        "newest page": lambda: entries_page(database, ACCOUNT, newest),
        "oldest page": lambda: entries_page(database, ACCOUNT, newest._replace(newest_first=False)),
        "tax report": lambda: _all_of(tax_report(database, [ACCOUNT], Year(MONTH.year))),
    }
    seconds = {name: [await _seconds(ask) for _ in range(2)][1] for name, ask in asked.items()}
    await database.close()
    return seconds


async def _all_of(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


async def _seconds(ask: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await ask()
    return round(time.perf_counter() - start, 4)


def _written(url: str, format_: StatementFormat) -> Written:
    return asyncio.run(_write(url, format_))


async def _write(url: str, format_: StatementFormat) -> Written:
    rendering = FORMATS[format_].begin()
    database = Database(url, 1, 1, READING)
    await database.open()
    start, first, size = time.perf_counter(), 0.0, 0
    async for part in rendered(database, ACCOUNT, MONTH, rendering):
        first = first or (time.perf_counter() - start if part else 0.0)
        size += len(part)
    seconds = time.perf_counter() - start
    await database.close()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Written(round(first, 2), round(seconds, 2), size, peak_mb)


if __name__ == "__main__":
    main()
