"""What the tables show, and what a script says they must."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from payments.entries import EntryKind
from runtime.settings import Settings
from sinks.progress import INPUT_COLUMNS
from sinks.service import Sink
from tests.sinks.ledger_script import LedgerScript
from tests.sinks.ledger_topic import LedgerTopic

DEADLINE_S = 30
TABLES = (
    "decisions",
    "journal_entries",
    "refusals",
    "returns",
    "account_events",
    "accounts",
    "balances",
    "outcome_counts",
    "sink_progress",
    "sink_lanes",
    "journal_legs",
    "causes",
    "item_events",
    "holds",
    "uncollected_deposits",
    "given_back",
    "disputes",
    "receivables",
    "reserved_legs",
    "journals",
    "reviews",
    "payment_orders",
    "provider_requests",
    "attempt_settlements",
    "verdicts",
    "risk_terms",
    "rule_sets",
)


class SinkThread(threading.Thread):
    """A sink in this process; `error` is what ended it."""

    def __init__(self, settings: Settings, topic: str) -> None:
        super().__init__(daemon=True)
        self.sink = Sink(settings, topic=topic)
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.sink.run()
        except Exception as error:  # noqa: BLE001 - handed to the test
            self.error = error

    def ended(self) -> BaseException | None:
        """Wait for its end; the reason."""
        self.join(DEADLINE_S)
        assert not self.is_alive(), "the sink did not end"
        return self.error


@contextmanager
def running_sink(settings: Settings, topic: LedgerTopic) -> Iterator[SinkThread]:
    thread = SinkThread(settings, topic.name)
    thread.start()
    try:
        yield thread
    finally:
        thread.sink.stop()
        thread.join(DEADLINE_S)


def apply_all(settings: Settings, topic: LedgerTopic, script: LedgerScript) -> None:
    """Run a sink until everything that the script wrote is visible."""
    with running_sink(settings, topic) as thread:
        await_applied(settings.database_url, script, thread)
    assert thread.error is None


def await_applied(database: str, script: LedgerScript, thread: SinkThread | None = None) -> None:
    expected = [(shard, len(values)) for shard, values in script.records.items()]
    give_up_at = time.monotonic() + DEADLINE_S
    seen: list[Any] = []
    while seen != expected:
        assert time.monotonic() < give_up_at, f"applied {seen} of {expected}"
        assert thread is None or thread.error is None, thread.error
        time.sleep(0.02)
        seen = progress_of(database)


def progress_of(database: str) -> list[tuple[int, int]]:
    """Shard and next sequence; nothing before the schema exists."""
    with psycopg.connect(database) as connection:
        if connection.execute("SELECT to_regclass('sink_progress')").fetchone() == (None,):
            return []
        rows = connection.execute("SELECT shard, ledger_sequence FROM sink_progress ORDER BY shard")
        return [(shard, sequence) for shard, sequence in rows]


def dump(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as text and sorted."""
    with psycopg.connect(database) as connection:
        return {table: sorted(connection.execute(f"SELECT {table}::text FROM {table}").fetchall()) for table in TABLES}


def assert_shows(database: str, script: LedgerScript) -> None:
    """The tables say what the script says, row by row."""
    with psycopg.connect(database) as connection:
        _assert_payments(connection, script)
        _assert_journal(connection, script)
        _assert_balances(connection, script)
        _assert_positions(connection, script)


def _assert_payments(connection: psycopg.Connection, script: LedgerScript) -> None:
    rows = connection.execute("SELECT payment_id, state, description FROM payments").fetchall()
    assert {row[0].bytes: row[1] for row in rows} == {payment: int(kind) for payment, kind in script.states.items()}
    texts = {payment: text.replace("\0", "\ufffd") for payment, text in script.texts.items()}
    assert {row[0].bytes: row[2] for row in rows if row[2] is not None} == texts
    events = connection.execute("SELECT operation_id, kind FROM account_events")
    assert {row[0].bytes: row[1] for row in events} == {each: int(kind) for each, kind in script.events.items()}


def _assert_journal(connection: psycopg.Connection, script: LedgerScript) -> None:
    rows = connection.execute("SELECT payment_id, debit_account, credit_account, amount_minor FROM journal_entries")
    journal = {payment.bytes: (debit.bytes, credit.bytes, amount) for payment, debit, credit, amount in rows}
    assert journal == script.journal
    sums = connection.execute("SELECT sum(amount_minor), count(*) FROM postings").fetchone()
    assert sums == (0, 2 * len(journal))


def _assert_balances(connection: psycopg.Connection, script: LedgerScript) -> None:
    rows = connection.execute("SELECT account_id, posted_minor, available_minor FROM balances").fetchall()
    shown = {account.bytes: (posted, available) for account, posted, available in rows}
    for account in script.home:
        assert shown.pop(account) == (script.posted[account], script.available[account])
    for system, (posted, available) in shown.items():
        assert posted == available == script.posted[system]


def _assert_positions(connection: psycopg.Connection, script: LedgerScript) -> None:
    counts = connection.execute("SELECT shard, kind, entries FROM outcome_counts")
    assert {(shard, EntryKind(kind)): entries for shard, kind, entries in counts} == dict(script.kinds)
    lanes = connection.execute("SELECT shard, lane, peer, next FROM sink_lanes").fetchall()
    assert set(lanes) == script.lanes()
    rows = connection.execute(f"SELECT shard, {', '.join(INPUT_COLUMNS)}, last_hash FROM sink_progress".encode())
    for shard, *offsets, last_hash in rows:
        assert (tuple(offsets), last_hash) == (script.inputs(shard), script.last_hash[shard])
