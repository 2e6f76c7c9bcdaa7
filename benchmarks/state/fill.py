"""Fills shards with accounts and keys as a worker would, without deciding: look up, remember, snapshot, checkpoint.

Writes ledger.snapshots and ledger.entries (empty records, which carry the sequence) to a real broker, and the disk.
Measures what a look-up of an unknown key and a new key cost at each size.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import psutil
from confluent_kafka import Producer

from payments.accounts import Account
from payments.book import IDEMPOTENCY_WINDOW_HOURS
from runtime.exactly_once.contract import ShardLog
from schemas import topics
from schemas.codec.ledger import LedgerHeader, SourceTopic, encode_ledger_record
from schemas.partitioning import shard_of
from streams.disk.database import Storage
from streams.restore import RestoredShard, restore
from streams.snapshots import ENTRIES_PER_PAGE, PAGES, SEGMENT_OPERATIONS
from streams.tables import clock_ms

FIRST_HOUR = 490_000
CURVE = (1_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000)
"""Sizes at which the cost is noted, as far as the run goes."""

_QUEUE_KIB = 32_768
"""What waits for a slow broker counts to the memory that is measured."""

MEASURED_SHARE = 0.1
"""The cost at a size is that of the last tenth before it."""


class Cost(msgspec.Struct, frozen=True):
    """What one key costs when so many are there, microseconds. On a busy machine compare the CPU."""

    keys: int
    lookup_us: float
    lookup_cpu_us: float
    """A look-up that finds nothing: wall time, and CPU of the thread that asks."""

    insert_us: float
    insert_cpu_us: float
    """Remembered, and its share of the write to the disk: wall time, and CPU of the thread that writes."""

    background_cpu_us: float
    """CPU of RocksDB's own threads (flush, compaction) meanwhile."""

    disk_bytes_per_key: float
    rss_mib: int


class Fill:
    """The shards of one worker while they are being filled."""

    def __init__(self, kafka_bootstrap: str, shards: int, folder: Path, log_of: Callable[[int], ShardLog]) -> None:
        self._producer = Producer(
            {"bootstrap.servers": kafka_bootstrap, "linger.ms": 50, "queue.buffering.max.kbytes": _QUEUE_KIB}
        )
        self._folder = folder
        storage = Storage(folder)
        self._shards = [restore(number, shards, log_of(number), storage) for number in range(shards)]

    def open_accounts(self, count: int) -> None:
        """Accounts of every shard, and all of their pages in the snapshot topic."""
        for _ in range(count):
            account_id = os.urandom(16)
            owner = self._shards[shard_of(account_id, len(self._shards))]
            owner.book.accounts[account_id] = Account("EUR", 100_000)
        for restored in self._shards:
            restored.shard.entries += PAGES * ENTRIES_PER_PAGE
            for _ in range(PAGES):
                self._checkpoint(restored)
        self._producer.flush()

    def remember(self, count: int) -> list[Cost]:
        """Keys spread evenly over the shards and the hours of the window."""
        costs: list[Cost] = []
        disk_before = self._disk_bytes()
        marks = [mark for mark in CURVE if mark < count] + [count]
        done, tally = 0, _Tally()
        for batch in self._batches(count):
            if done >= marks[0] * (1 - MEASURED_SHARE) and not tally.started:
                tally.begin()
            hour = FIRST_HOUR + done * IDEMPOTENCY_WINDOW_HOURS // count
            self._one_batch(self._shards[(done // SEGMENT_OPERATIONS) % len(self._shards)], batch, hour, tally)
            done += len(batch)
            if done >= marks[0]:
                marks.pop(0)
                costs.append(tally.cost(done, self._disk_bytes() - disk_before))
                tally = _Tally()
        self._producer.flush()
        return costs

    def close(self) -> None:
        for restored in self._shards:
            restored.book.close()

    def _batches(self, count: int) -> Iterator[Sequence[bytes]]:
        for done in range(0, count, SEGMENT_OPERATIONS):
            size = min(SEGMENT_OPERATIONS, count - done)
            random = os.urandom(16 * size)
            yield [random[at : at + 16] for at in range(0, len(random), 16)]

    def _one_batch(self, restored: RestoredShard, ids: Sequence[bytes], hour: int, tally: "_Tally") -> None:
        operations, shard = restored.book.operations, restored.shard
        with tally.lookups(len(ids)):
            found = sum(operations.fingerprint_of(operation_id) is not None for operation_id in ids)
        assert not found, "random ids repeat only where the store is wrong"
        with tally.inserts:
            for operation_id in ids:
                operations.remember(operation_id, operation_id[:8], hour)
        shard.entries = max(shard.entries, 1)
        self._checkpoint(restored, tally)

    def _checkpoint(self, restored: RestoredShard, tally: "_Tally | None" = None) -> None:
        shard = restored.shard
        header = LedgerHeader(shard.number, shard.sequence, shard.previous_hash, SourceTopic.COMMANDS, 0, 0, ())
        value = encode_ledger_record(header, [], {})
        self._produce(topics.LEDGER.name, value, partition=shard.number)
        shard.append(header, value)
        restored.snapshots.step(self._produce)
        with tally.inserts if tally else _Span():
            restored.write_if_due(clock_ms())

    def _produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int,
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _disk_bytes(self) -> int:
        return sum(_size(path) for path in self._folder.rglob("*"))


class _Span:
    """Adds up seconds of what runs inside: by the clock, CPU of this thread, CPU of the others."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = self.others_s = 0.0

    def __enter__(self) -> None:
        self._from = time.perf_counter(), time.thread_time(), time.process_time()

    def __exit__(self, *_: object) -> None:
        wall_s, thread_s, process_s = self._from
        spent_s = time.thread_time() - thread_s
        self.wall_s += time.perf_counter() - wall_s
        self.cpu_s += spent_s
        self.others_s += time.process_time() - process_s - spent_s


class _Tally:
    """The last batches before a mark."""

    def __init__(self) -> None:
        self.started = False
        self.inserts = _Span()
        self._lookups = _Span()
        self._count = 0

    def begin(self) -> None:
        self.started = True
        self.inserts, self._lookups, self._count = _Span(), _Span(), 0

    def lookups(self, count: int) -> _Span:
        self._count += count
        return self._lookups

    def cost(self, keys: int, disk_bytes: int) -> Cost:
        per_key_us = 1e6 / self._count
        lookups, inserts = self._lookups, self.inserts
        return Cost(
            keys,
            round(lookups.wall_s * per_key_us, 2),
            round(lookups.cpu_s * per_key_us, 2),
            round(inserts.wall_s * per_key_us, 2),
            round(inserts.cpu_s * per_key_us, 2),
            round((lookups.others_s + inserts.others_s) * per_key_us, 2),
            round(disk_bytes / keys, 1),
            psutil.Process().memory_info().rss >> 20,
        )


def _size(path: Path) -> int:
    """RocksDB deletes files while we look."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0
