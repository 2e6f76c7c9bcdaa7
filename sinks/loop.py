"""ledger.entries → Postgres, exactly once: each batch of ledger records becomes one Postgres transaction.

Reads committed ledger records from where sink_progress stands; keeps the progress of its shards; writes every table of
this folder's migrations. Exactly once rests on the rows of sink_progress alone: a batch and the positions behind it
commit together, and only for the writer that finds the positions as it left them.
"""

import time
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import Connection

from payments.errors import InvariantViolation
from runtime.exactly_once.failpoints import Failpoints
from runtime.kafka_reader import AssignedReader
from sinks.account_sums import add_late
from sinks.accounts import apply_account_operations
from sinks.balances import apply_balances, changes_of
from sinks.decisions import copy_decisions, copy_refusals, copy_returns
from sinks.details.facts import copy_details
from sinks.details.items import restored_by_captures, upsert_items
from sinks.details.risk import copy_risk
from sinks.journal_entries import copy_journal_entries
from sinks.ledger_batch import LedgerBatch
from sinks.progress import ShardProgress, advance_lanes, claim, count_outcomes, notify_readers
from sinks.topic_sink import refusal_of_row

BATCH_ENTRIES: Final = 6_144
"""Entries after which a batch is closed: about 3,000 payments, see docs/decisions/0001. With the last record's (at most
2,999 that touch one account) it stays below 9,200, so that no sum of the largest amounts leaves 64 bits."""

IDLE_POLL_S: Final = 0.1
"""How long a wait for records may last before the stop flag is looked at. A record ends the wait at once."""

Commit = Callable[[dict[int, int]], None]
"""Leaves the next offset per shard where lag tooling looks for it."""


def next_batch(reader: AssignedReader, progress: dict[int, ShardProgress]) -> LedgerBatch:
    """What is there: one record at low load, BATCH_ENTRIES at high load, nothing after IDLE_POLL_S of silence."""
    batch = LedgerBatch(progress)
    record = reader.next_record(IDLE_POLL_S)
    while record is not None:
        shard, offset, value = record.partition(), record.offset(), record.value()
        if shard is None or offset is None or value is None:
            raise InvariantViolation(f"ledger.entries[{shard}] offset {offset}: a record without value")
        batch.add(shard, offset, value)
        if batch.entry_count >= BATCH_ENTRIES:
            break
        record = reader.next_record(0)
    return batch


def flush_batch(connection: Connection, batch: LedgerBatch, commit_offsets: Commit, failpoints: Failpoints) -> None:
    """Make one batch visible, once. Raises Fenced, InvariantViolation, psycopg.Error (nothing is then visible)."""
    # 1. Claim: move sink_progress on, if it still stands where this writer left it. First, because the row locks make
    #    a second writer wait here and then find itself fenced, instead of stumbling over our rows.
    claim(connection, batch.before, batch.after)
    try:
        # 2. Facts, append only: COPY of rows laid out in numpy. No ON CONFLICT: a payment id that is there already is
        #    a payment decided twice, which must stop the sink.
        copy_decisions(connection, batch)
        copy_journal_entries(connection, batch)
        copy_refusals(connection, batch)
        copy_returns(connection, batch)
        copy_details(connection, batch)
        copy_risk(connection, batch)
        apply_account_operations(connection, batch)
        # 3. Open items as they stand. What final captures give back is asked for before their holds are written.
        restored = restored_by_captures(connection, batch)
        upsert_items(connection, batch)
        # 4. Sums: lanes, counts and, last because their rows are the contended ones, balances.
        advance_lanes(connection, batch.lanes)
        count_outcomes(connection, batch.outcome_counts())
        changes = changes_of(batch, restored)
        apply_balances(connection, changes)
        add_late(connection, changes, max(row.summed_until_us for row in batch.before.values()))
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        raise InvariantViolation(refusal_of_row(error)) from error
    # 5. Wake readers that wait for a position; they hear of it with the commit.
    notify_readers(connection)
    # Crash up to here: Postgres rolls back, sink_progress is as before, and the same records are read again.
    failpoints.reach("sink_before_commit")
    # 6. COMMIT. Cut off in it, we do not know whether it happened: the next start asks sink_progress, which does.
    connection.commit()
    # Crash here: the batch is visible and sink_progress stands behind it; the next start goes on from there.
    failpoints.reach("sink_after_commit")
    # 7. Group offsets for lag tooling. Nothing reads them to decide anything, so a crash before this loses nothing.
    commit_offsets({shard: progress.ledger_next_offset for shard, progress in batch.after.items()})


class Throughput:
    """What went through since the last line in the log."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self._since = time.monotonic()
        self._batches = self._entries = self._largest = 0

    def count(self, batch: LedgerBatch) -> None:
        self._batches += 1
        self._entries += batch.entry_count
        self._largest = max(self._largest, batch.entry_count)

    def line_after(self, interval_s: int) -> str | None:
        """Batches, entries and rate, once the interval is over and if there was anything."""
        elapsed_s = time.monotonic() - self._since
        if elapsed_s < interval_s or not self._batches:
            return None
        line = (
            f"batches={self._batches} entries={self._entries} entries_per_s={self._entries / elapsed_s:.0f}"
            f" largest_batch={self._largest}"
        )
        self._restart()
        return line
