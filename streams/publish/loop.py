"""ledger.entries → payments.events, exactly once: each batch of ledger records becomes one Kafka transaction.

Reads committed ledger records of every shard from the group's offsets; keeps what waits for its turn (order); writes
one event per change, together with the offsets of the records that it comes from. One process per installation: its
transactional id fences the one before it, so that no group has to give out partitions, and all shards are told in one
order.
"""

import logging
import threading
import time
from typing import Final, NamedTuple

from confluent_kafka import Message, TopicPartition

from payments.errors import InvariantViolation, UndecodableRecord
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.transaction import TransactionProducer
from runtime.kafka_reader import AssignedReader
from schemas import topics
from schemas.codec.ledger import decode_ledger_record
from schemas.events.codec import encode_event
from schemas.events.headers import headers_of
from schemas.partitioning import shard_of
from streams.publish.order import CausalOrder, Waiting
from streams.publish.told import told_of

log = logging.getLogger("millrace.publisher")

IDLE_WAIT_S: Final = 0.1
"""How long a wait for records may last before the stop flag is looked at. A record ends the wait at once."""

BATCH_EVENTS: Final = 5_000
"""Events after which a transaction is committed: at 30,000 a second every 0.2 s, × 400 bytes = 2 MB."""

POSITION_ALONE_S: Final = 5.0
"""Records that nobody outside is told of (a tick a second and shard) move the position, but not each by itself."""

WAITING_BYTES: Final = 8 * 1024 * 1024
"""Of one shard, read and not told because another one is behind: then it is not read on."""

LOG_INTERVAL_S: Final = 10


class Route(NamedTuple):
    """The names of the two topics, and of the installation in its events."""

    source: str
    ledger: str = topics.LEDGER.name
    events: str = topics.EVENTS.name


class Publisher:
    """From the ledger's records to the commit of their events. One thread."""

    def __init__(
        self, reader: AssignedReader, producer: TransactionProducer, shards: int, route: Route, failpoints: Failpoints
    ) -> None:
        self._reader = reader
        self._producer = producer
        self._shards = shards
        self._route = route
        self._failpoints = failpoints
        self._order = CausalOrder(shards)
        self._positions: dict[int, int] = {}
        """Behind the last record of each shard that is told."""
        self._read_up_to: dict[int, int] = {}
        self._moved: set[int] = set()
        self._moved_since_s = 0.0
        self._events = 0
        """Written into the open transaction."""
        self._tally = Tally()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Raises AccessRefused, InvariantViolation, PositionLost, KafkaException."""
        self._start()
        while not stop.is_set():
            self.turn()
        self._commit_if_moved()
        self._reader.close()

    def turn(self) -> None:
        """Read what is there, tell what may be told, commit when nothing more is there or the batch is full."""
        # 1. Read. Crash: the records are read again from the group's offsets.
        record = self._reader.next_record(0 if self._events else IDLE_WAIT_S)
        if record is not None:
            self._failpoints.reach("after_consume")
            self._take(_waiting(record))
        # 2. Tell what has its turn: into the open transaction. Crash: the next start aborts it and tells it again, with
        #    the same ids.
        self._tell()
        self._failpoints.reach("mid_cycle")
        # 3. to 6. in `_commit`.
        if record is None or self._events >= BATCH_EVENTS:
            self._commit_if_due()
        if record is None:
            self._producer.serve_callbacks()
            self._report()

    def _take(self, waiting: Waiting) -> None:
        shard = waiting.record.header.shard
        if waiting.offset >= self._read_up_to.get(shard, 0):  # below: delivered again by the client
            self._read_up_to[shard] = waiting.offset + 1
            self._order.add(waiting)

    def _start(self) -> None:
        committed = self._reader.committed(range(self._shards))
        for shard in range(self._shards):
            self._positions[shard] = 0
            if shard in committed:
                self._positions[shard] = committed[shard].offset
                self._resume(shard, committed[shard].metadata or "")
            first = self._reader.first_offset(shard)
            if self._positions[shard] < first:
                raise InvariantViolation(
                    f"{self._route.ledger}[{shard}] begins at {first} and is told up to {self._positions[shard]}:"
                    " what the records between would tell can't be told any more"
                )
        self._reader.start(self._positions)
        log.info("publishing from %s", self._positions)

    def _resume(self, shard: int, mark: str) -> None:
        try:
            self._order.resume(shard, mark)
        except (ValueError, UndecodableRecord) as error:
            raise InvariantViolation(
                f"the offset of {self._route.ledger}[{shard}] was set by somebody else, without the marks that keep"
                f" events in order ({error}): delete the group's offsets, and all is told again under the same ids"
            ) from error

    def _tell(self) -> None:
        self._producer.open()
        for waiting in self._order.released():
            for event_id, event in told_of(waiting.record):
                key = event.subject.encode()
                self._producer.produce(
                    self._route.events,
                    encode_event(event_id, event),
                    key=key,
                    partition=shard_of(key, self._shards),
                    headers=headers_of(event_id, event, self._route.source),
                )
                self._events += 1
            self._move(waiting)
        self._producer.close()
        self._reader.pause([shard for shard, waiting in self._order.waiting_bytes.items() if waiting > WAITING_BYTES])

    def _move(self, waiting: Waiting) -> None:
        shard = waiting.record.header.shard
        self._positions[shard] = waiting.offset + 1
        if not self._moved:
            self._moved_since_s = time.monotonic()
        self._moved.add(shard)

    def _commit_if_due(self) -> None:
        if self._events or (self._moved and time.monotonic() - self._moved_since_s > POSITION_ALONE_S):
            self._commit_if_moved()

    def _commit_if_moved(self) -> None:
        if self._moved:
            self._commit()

    def _commit(self) -> None:
        """Make it true. Ends the process (exit 75) on any doubt, without an abort."""
        self._failpoints.reach("before_commit")
        # 3. All events on the broker. Crash after: they stay invisible, the next start aborts them.
        self._producer.flush()
        self._failpoints.reach("after_flush")
        # 4. The positions join the transaction. Crash after: they are pending until the next start aborts them.
        ending_s = time.monotonic()
        positions = [
            TopicPartition(self._route.ledger, shard, self._positions[shard], self._order.mark_of(shard))
            for shard in self._moved
        ]
        self._producer.send_offsets(positions, self._reader.group_metadata())
        self._failpoints.reach("after_offsets")
        # 5. Commit. Crash inside: all of it or nothing; the next start asks for the group's offsets and goes on there.
        self._producer.commit()
        self._failpoints.reach("after_commit")
        # 6. The next transaction, under a new epoch if this one ended slowly.
        self._producer.renew(time.monotonic() - ending_s)
        self._tally.count(self._events)
        self._events = 0
        self._moved.clear()

    def _report(self) -> None:
        line = self._tally.line_after(LOG_INTERVAL_S)
        if line is not None:
            log.info("%s records_behind=%d", line, self._reader.records_behind(self._positions))


class Tally:
    """What went through since the last line in the log."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self._since_s = time.monotonic()
        self._commits = self._events = 0

    def count(self, events: int) -> None:
        self._commits += 1
        self._events += events

    def line_after(self, interval_s: int) -> str | None:
        """Events and rate, once the interval is over and if there was anything."""
        elapsed_s = time.monotonic() - self._since_s
        if elapsed_s < interval_s or not self._events:
            return None
        line = f"commits={self._commits} events={self._events} events_per_s={self._events / elapsed_s:.0f}"
        self._restart()
        return line


def _waiting(record: Message) -> Waiting:
    shard, offset, value = record.partition(), record.offset(), record.value()
    if shard is None or offset is None or value is None:
        raise InvariantViolation(f"{record.topic()}[{shard}] offset {offset}: a record without value")
    try:
        decoded = decode_ledger_record(value)
    except UndecodableRecord as error:
        raise InvariantViolation(f"{record.topic()}[{shard}] offset {offset}: {error}") from error
    if decoded.header.shard != shard:
        raise InvariantViolation(f"{record.topic()}[{shard}] offset {offset}: a record of shard {decoded.header.shard}")
    return Waiting(offset, decoded, len(value))
