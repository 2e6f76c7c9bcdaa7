"""`python -m benchmarks runs`: so many lines of a provider into Postgres, and a run of the ledger against them.

The file is a payout reconciliation of Stripe in the order of the books turned round, one line in a thousand with
another amount; the ledger is filled by SQL. A run reads both sides, matches, ties out and writes everything down.
"""

import argparse
import gc
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from benchmarks.machine import machine
from benchmarks.reconciliation.database import own_postgres, peak_mib, show
from payments.identifiers import system_account
from payments.postings import SystemAccount
from reconciliation.runs.rules import read_rules
from reconciliation.runs.run import Asked, compute
from reconciliation.runs.writing import write
from reconciliation.store.importing import Brought, import_file
from runtime.postgres import open_session
from runtime.settings import Settings

T = TypeVar("T")

DIFFERS_EVERY: Final = 1_000
RULES: Final = """
version: 1
name: benchmark
calendar: WEEKDAYS
books: {accounts: [stripe_clearing], currencies: [EUR], id: order}
statements: {sources: [stripe]}
"""
_HEAD: Final = (
    "balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,source_id,order_id,"
    "automatic_payout_id\n"
)
_AMOUNT: Final = "100 + n % 50000"
_JOURNAL: Final = "('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"
_FILL: Final = (
    f"""INSERT INTO journal_entries (journal_id, payment_id, debit_account, credit_account, amount_minor, currency,
        posted_at, shard, ledger_sequence, ledger_offset, entry_index, source, source_offset, source_item)
    SELECT {_JOURNAL}, {_JOURNAL}, %(clearing)s, '77000000-0000-7000-8000-000000000001', {_AMOUNT}, 'EUR',
        '2026-11-16 00:00+00'::timestamptz + n * interval '50 milliseconds', n % 4, n / 80, 0, n % 80, 0, 0, 0
    FROM generate_series(1, %(lines)s) AS n""",
    f"""INSERT INTO provider_requests SELECT {_JOURNAL}, '77000000-0000-7000-8000-000000000001', 'stripe', 1,
        '00000000-0000-0000-0000-000000000000', {_AMOUNT}, 'EUR', 'order-' || n, 1, 'succeeded', false, '', 'ch_' || n,
        false, now(), now(), 0, n, 0
    FROM generate_series(1, %(lines)s) AS n""",
)


def main(arguments: list[str]) -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks runs", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="on each side")
    parser.add_argument("--json", action="store_true", help="as everything here is printed")
    asked = parser.parse_args(arguments)
    before = machine()
    with own_postgres() as settings:
        figures = {"lines_each": asked.lines} | _import(settings, asked.lines) | _run(settings, asked.lines)
    show(figures, before)


def _import(settings: Settings, lines: int) -> dict[str, object]:
    path = settings.home / "payouts.csv"
    _write_file(path, lines)
    with closing(open_session(settings.database_url, "benchmark")) as connection:
        connection.autocommit = True
        found, took = _timed(lambda: import_file(connection, path, Brought("stripe", "benchmark")))
        connection.execute("VACUUM ANALYZE recon_lines")
    assert found.lines == lines, found.reason
    return {"import": took | {"lines_per_s": round(lines / took["seconds"]), "peak_mib": peak_mib()}}


def _run(settings: Settings, lines: int) -> dict[str, object]:
    read, clearing = read_rules(RULES), system_account(SystemAccount.STRIPE_CLEARING, "EUR").hex()
    with closing(open_session(settings.database_url, "benchmark")) as connection:
        connection.autocommit = True
        connection.execute("SET statement_timeout = 0")
        for statement in _FILL:
            connection.execute(statement.replace("% ", "%% ").encode(), {"clearing": clearing, "lines": lines})
        connection.execute("VACUUM ANALYZE")
        gc.disable()  # as `millrace recon run` does
        marks: dict[str, float] = {}
        start = time.perf_counter()

        def tell(what: str, _: int) -> None:
            marks[what] = round(time.perf_counter() - start, 2)

        result, took = _timed(lambda: compute(connection, read, Asked(datetime.now(UTC), None, None, "bench"), tell))
        changes, wrote = _timed(lambda: write(connection, read, result, 4))
    assert (len(result.outcome.matches), changes.opened) == (lines - lines // DIFFERS_EVERY, lines // DIFFERS_EVERY)
    both = {name: round(took[name] + wrote[name], 2) for name in took}
    return {"run": both | {"until": marks, "compute": took, "write": wrote, "peak_mib": peak_mib()}}


def _write_file(path: Path, lines: int) -> None:
    with path.open("w") as file:
        file.write(_HEAD)
        for number in range(lines, 0, -1):
            minor = 100 + number % 50_000 + (number % DIFFERS_EVERY == 0)
            amount = f"{minor // 100}.{minor % 100:02}"
            file.write(
                f"txn_{number},2026-11-16 12:00:00,eur,{amount},0.00,{amount},charge,ch_{number},order-{number},po_1\n"
            )


def _timed(work: Callable[[], T]) -> tuple[T, dict[str, float]]:
    start, start_cpu = time.perf_counter(), time.process_time()
    done = work()
    used = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - start_cpu}
    return done, {name: round(seconds, 2) for name, seconds in used.items()}
