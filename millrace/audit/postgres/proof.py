"""The second half of an audit: what Postgres shows is the fold of the ledger (I5), as of one snapshot.

Reads the ledger once more, up to where sink_progress stands in the snapshot, and every table of the sink.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np

from millrace.audit.ledger.entry_batch import EntryBatch, Located, batches
from millrace.audit.ledger.fold import Fold
from millrace.audit.ledger.proof import LogReader
from millrace.audit.ledger.replay import decoded
from millrace.audit.postgres.facts import FactTables
from millrace.audit.postgres.item_tables import compare_items
from millrace.audit.postgres.snapshot import PROGRESS, AppliedTo, DatabaseSnapshot
from millrace.audit.postgres.sums import compare_keyed, compare_spans, compare_sums, selected
from millrace.audit.report import AuditReport, Differs, Invariant
from schemas.codec.ledger import GENESIS_HASH, LedgerHeader, SourceTopic, record_hash
from sinks.progress import inputs_after

SINK_LANES = ("shard", "lane", "peer", "next")
_NOTHING_APPLIED = AppliedTo(0, 0, (0,) * len(SourceTopic), GENESIS_HASH)


class Applied:
    """What the ledger adds up to, shard by shard, as far as the sink says that it is."""

    def __init__(self, reader: LogReader, progress: dict[int, AppliedTo]) -> None:
        self.fold = Fold()
        self.counts: Counter[tuple[int, int]] = Counter()
        self.lanes: dict[tuple[int, int, int], tuple[int]] = {}
        self.unapplied = 0
        self._reader = reader
        self._progress = progress

    def records(self, shard: int) -> Iterator[Located]:
        """The applied records of a shard. Raises Differs where its row of sink_progress is not what they make."""
        told = self._progress.get(shard, _NOTHING_APPLIED)
        reached = _NOTHING_APPLIED
        for message in self._reader.partition(self._reader.topics.ledger, shard):
            if message.offset() >= told.ledger_next_offset:
                self.unapplied += 1
                continue
            value = message.value() or b""
            place = f"{self._reader.topics.ledger}[{shard}] offset {message.offset()}"
            record = decoded(value, place)
            reached = _after(reached, record.header, message.offset(), value)
            for lane, peer, following in record.header.counters:
                self.lanes[shard, int(lane), peer] = (following,)
            self.fold.add(record, place)
            yield message.offset(), record
        compare_keyed("sink_progress", PROGRESS, {shard: _shown(reached)}, [(shard, *_shown(told))])

    def count(self, shard: int, batch: EntryBatch) -> None:
        kinds, entries = np.unique(batch.kinds, return_counts=True)
        for kind, number in zip(kinds, entries, strict=True):
            self.counts[shard, int(kind)] += int(number)


def prove_tables(reader: LogReader, snapshot: DatabaseSnapshot, report: AuditReport) -> None:
    """Compare every table with the ledger. Raises Differs, AuditImpossible."""
    for reason in reader.incomplete(reader.topics.ledger):
        report.not_proved(Invariant.TABLES, reason)
        return
    progress = snapshot.progress()
    unknown = sorted(progress.keys() - range(reader.shards))
    if unknown:
        raise Differs(Invariant.TABLES, f"table sink_progress, shard {unknown[0]}", "no such row", "one")
    applied = Applied(reader, progress)
    with ExitStack() as stack:
        facts = FactTables(snapshot, stack)
        for shard in range(reader.shards):
            for batch in batches(applied.records(shard)):
                facts.expect(batch)
                applied.count(shard, batch)
        compared = facts.finish()
    with ExitStack() as stack:
        compare_sums(snapshot, applied.fold, applied.counts, report, stack)
        compare_spans(snapshot, stack)
        compare_items(snapshot, applied.fold.items, stack)
        lanes = selected(snapshot, "sink_lanes", SINK_LANES, stack)
        compare_keyed("sink_lanes", SINK_LANES, applied.lanes, lanes, keys=3)
    _say(report, applied, compared)


def _say(report: AuditReport, applied: Applied, compared: dict[str, int]) -> None:
    report.unapplied_records = applied.unapplied
    rows = ", ".join(f"{count} {table}" for table, count in compared.items())
    report.proved(Invariant.TABLES, f"{rows}: every column of every row, streamed in ledger order")
    report.proved(
        Invariant.TABLES,
        f"{len(applied.fold.accounts)} accounts, {len(applied.fold.positions())} balances,"
        f" {len(applied.fold.items.stated)} open items, outcome_counts, sink_lanes, sink_progress: compared by key;"
        " drift 0",
    )
    report.proved(Invariant.TRACE, "every row names the ledger record, and by it the command, that it comes from")
    if applied.unapplied:
        report.not_proved(Invariant.TABLES, f"{applied.unapplied} ledger records were not applied yet")


def _after(before: AppliedTo, header: LedgerHeader, offset: int, value: bytes) -> AppliedTo:
    inputs = inputs_after(before.input_next_offsets, header)
    return AppliedTo(offset + 1, header.sequence + 1, inputs, record_hash(value))


def _shown(applied: AppliedTo) -> tuple[int | str, ...]:
    return (applied.ledger_next_offset, applied.ledger_sequence, *applied.input_next_offsets, applied.last_hash.hex())
