"""The worker's loop: receive, deliver, wait for the decisions, commit. One thread does all of it.

Reads the input topics through the membership; writes through the slot's transactional producer. One thread means that a
rebalance callback can never meet a commit, and that no chunk is in flight when partitions leave.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypeVar

from confluent_kafka import KafkaError

from runtime.exactly_once.broker.broker_version import refuse_broken_broker
from runtime.exactly_once.broker.start_gate import pass_start_gate
from runtime.exactly_once.commit import Cycle, commit_cycle
from runtime.exactly_once.contract import Chunk, Decide, Produce, ShardStore
from runtime.exactly_once.crash import crash
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.membership import Membership
from runtime.exactly_once.restore import Partition
from runtime.exactly_once.transaction import TransactionProducer
from runtime.kafka_client import AccessRefused, Brokers, is_refusal
from runtime.settings import Settings

Item = TypeVar("Item")

IDLE_WAIT_S = 0.1
"""How long an idle worker waits for a record; bounds how late it sees a stop request."""

COMMIT_PACE = 0.5
"""A cycle stays open at least this share of the average commit since the last: the busier the broker, the longer."""

COMMIT_AVERAGE_WEIGHT = 0.2

CHUNK_BYTES_MAX = 512 * 1024
"""1,000 packed records may hold 250,000 items; what a stage writes for 512 KiB of input stays below the
broker's limit of 1 MB for a record."""

ENDS_THE_PROCESS = (KafkaError._MAX_POLL_EXCEEDED, KafkaError._AUTO_OFFSET_RESET, KafkaError._FATAL)


class Driver(Protocol):
    """Hands chunks to the stage. Called on the engine's thread."""

    def deliver(self, chunks: Sequence[Chunk]) -> None:
        """Return when every chunk is decided; raise when one failed or the barrier's deadline passed."""
        ...

    def assigned(self, partitions: Collection[Partition]) -> None:
        """These are all partitions held now; their shards are restored."""
        ...

    def revoked(self, partitions: Collection[Partition]) -> None:
        """These have left; everything decided for them is committed."""
        ...


class Engine:
    """One worker slot of an application. `run` ends by `stop`, or by the end of the process."""

    def __init__(self, application: str, store: ShardStore, settings: Settings) -> None:
        failpoints = Failpoints(settings.failpoint)
        self._application = application
        self._brokers = Brokers.of(settings)
        self.cycles = 0
        self.may_own = False
        """False until the group is joined: until then nothing is lost with a process that ends in the middle."""
        self._settings = settings
        self._store = store
        self._failpoints = failpoints
        self._producer = TransactionProducer(
            application, settings, failpoints, lambda name: pass_start_gate(self._brokers, name)
        )
        self._membership = Membership(application, store, settings, failpoints)
        self._cycle = Cycle()
        self._last_poll_full = False
        self._commit_ended_s = 0.0
        self._commit_average_s = 0.005

    @property
    def produce(self) -> Produce:
        """The slot's open transaction, for code that has no chunk at hand."""
        return self._producer.produce

    def run(self, driver: Driver, stop: threading.Event) -> None:
        """Work until `stop` is set, then finish the cycle and leave. Any exception ends the process with its reason."""
        try:
            self._start(driver)
            self.may_own = True  # said before the stop is looked at: who stops sees it, or is seen here
            if not stop.is_set():
                self._work(driver, stop)
        except AccessRefused as refused:
            crash(str(refused))
        except Exception as failure:  # noqa: BLE001 - crash-only: whatever it was, the cycle is in doubt
            crash(f"{type(failure).__name__}: {failure}")

    def _work(self, driver: Driver, stop: threading.Event) -> None:
        self._membership.join()
        while not stop.is_set():
            self._turn(driver, stop)
        self._commit_if_open()
        self._membership.leave()

    def _start(self, driver: Driver) -> None:
        refuse_broken_broker(self._brokers, accept=self._settings.accept_broker_version)
        self._producer.start()
        self._membership.before_revoke = self._commit_if_open
        self._membership.on_assigned = driver.assigned
        self._membership.on_revoked = driver.revoked

    def _turn(self, driver: Driver, stop: threading.Event) -> None:
        """Receive what is there, have it decided, commit when it is time. What a stop finds undecided is left to the
        next owner: a driver that stops may have heard no more of the assignment that came with it.
        """
        self._pause_after_commit()
        waiting = rounds(self._receive())
        while waiting and not stop.is_set():
            self._have_decided(driver, waiting.pop(0))
            if self._is_due(drained=not waiting):
                self._commit_if_open()
        if self._is_due(drained=True):
            self._commit_if_open()

    def _have_decided(self, driver: Driver, chunks: Sequence[Chunk]) -> None:
        self._failpoints.reach("after_consume")
        self._cycle.add(chunks, self._membership.epochs)
        self._producer.open()
        driver.deliver(chunks)
        self._producer.close()
        self._cycle.decided(len(chunks))
        self._failpoints.reach("mid_cycle")

    def _pause_after_commit(self) -> None:
        """Let the coordinator write the last markers, and records gather, before the next transaction begins."""
        if self._cycle.offsets:
            return
        left_s = self._commit_ended_s + COMMIT_PACE * self._commit_average_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)

    def _receive(self) -> list[Chunk]:
        wait_s = 0.0 if self._cycle.offsets else IDLE_WAIT_S
        records = self._membership.poll(wait_s, self._settings.chunk_records)
        self._last_poll_full = len(records) == self._settings.chunk_records
        if not records:
            self._producer.serve_callbacks()
        return self._chunks(records)

    def _chunks(self, records: Sequence[Any]) -> list[Chunk]:
        by_partition: dict[Partition, list[Any]] = {}
        for record in records:
            if record.error() is not None:
                self._refuse_fatal(record)
                continue
            by_partition.setdefault((record.topic(), record.partition()), []).append(record)
        chunks = []
        for (topic, shard), found in by_partition.items():
            for records_of_chunk in split(self._fresh((topic, shard), found)):
                chunks.append(Chunk(topic, shard, records_of_chunk, self._producer.produce))
                self._membership.positions[topic, shard] = chunks[-1].next_offset
        return chunks

    def _refuse_fatal(self, record: Any) -> None:
        """Transient fetch errors are retried by the client; the rest leaves the position in doubt."""
        error = record.error()
        if is_refusal(error):
            raise AccessRefused(self._brokers.explained(error, f"read {record.topic() or self._application}"))
        if error.fatal() or error.code() in ENDS_THE_PROCESS:
            crash(f"consume: {error}")

    def _fresh(self, partition: Partition, records: list[Any]) -> list[Any]:
        """Without what is not owned any more and what was delivered before: one poll may still hold both."""
        if partition not in self._membership.epochs:
            return []
        position = self._membership.positions[partition]
        if records[0].offset() >= position:
            return records
        return [record for record in records if record.offset() >= position]

    def _is_due(self, *, drained: bool) -> bool:
        """The input is drained, or the cycle is at its longest."""
        age_s = time.monotonic() - self._cycle.opened_at_s
        return (drained and not self._last_poll_full) or age_s >= self._settings.cycle_max_ms / 1000

    def _commit_if_open(self) -> None:
        if not self._cycle.offsets:
            return
        took_s = commit_cycle(self._cycle, self._store, self._membership, self._producer, self._failpoints)
        self._cycle = Cycle()
        self.cycles += 1
        self._commit_average_s += COMMIT_AVERAGE_WEIGHT * (took_s - self._commit_average_s)
        self._commit_ended_s = time.monotonic()


class PlainDriver:
    """Decides each chunk in the engine's own thread: for stages that need no Faust."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide

    def deliver(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            self._decide(chunk)

    def assigned(self, partitions: Collection[Partition]) -> None:
        pass

    def revoked(self, partitions: Collection[Partition]) -> None:
        pass


def run_plain(application: str, store: ShardStore, settings: Settings, decide: Decide, stop: threading.Event) -> None:
    """Run a stage without Faust in this thread until `stop` is set."""
    Engine(application, store, settings).run(PlainDriver(decide), stop)


def split(records: list[Any]) -> list[list[Any]]:
    """Runs of records of at most CHUNK_BYTES_MAX. A tombstone has no bytes."""
    return _runs(records, len)


def rounds(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """What is decided before the clock is looked at again: chunks of at most CHUNK_BYTES_MAX together.

    A backlog of packed records would otherwise make one transaction of all that a poll returned: 1,000 records × 250
    commands × 12 µs = 3 s, on a busy machine longer than the transaction may take, again and again after each restart.
    """
    return _runs(chunks, lambda chunk: sum(len(record) for record in chunk.records))


def _runs(items: Sequence[Item], bytes_of: Callable[[Item], int]) -> list[list[Item]]:
    """Consecutive runs of at most CHUNK_BYTES_MAX, each of at least one item."""
    runs: list[list[Item]] = []
    left_bytes = 0
    for item in items:
        size_bytes = bytes_of(item)
        if not runs or size_bytes > left_bytes:
            runs.append([])
            left_bytes = CHUNK_BYTES_MAX
        runs[-1].append(item)
        left_bytes -= size_bytes
    return runs
