"""Rebuilds shards from their changelog: committed records up to the high watermark, not to the last stable offset.

The group's offsets of a transaction can be visible before its marker on the changelog partition is written (seen in 1
of 150-200 transactions on one broker, up to 412 ms behind). Records below the high watermark that are still hidden are
therefore waited for.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.exactly_once.contract import ShardStore
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.restoring import RestoreCancelled
from runtime.kafka_client import ANSWER_TIMEOUT_MS, AccessRefused, Brokers, is_refusal
from runtime.settings import Settings

LOGGER = logging.getLogger(__name__)

Partition = tuple[str, int]

READ_RECORDS = 5_000
"""Per consume call: the failpoint and the deadline are looked at 40 times a second at 200,000 records/s."""

WATERMARK_DEADLINE_S = 60.0
"""A partition just created answers NOT_LEADER for some 100 ms; a broker crash leaves it leaderless for 9-26 s."""


class RestoreConsumer:
    """One pair of consumers for all shards of an assignment: one asks for high watermarks, one reads."""

    def __init__(
        self, application: str, settings: Settings, failpoints: Failpoints, cancelled: threading.Event | None = None
    ) -> None:
        self._cancelled = cancelled or threading.Event()
        self.stalled_s = 3 * settings.transaction_timeout_ms / 1000
        self.failpoints = failpoints
        self._brokers = Brokers.of(settings)
        configuration = {
            **self._brokers.configuration(),
            "group.id": f"{application}.restore",  # required by the client; neither joined nor committed
            "enable.auto.commit": False,
            "socket.timeout.ms": ANSWER_TIMEOUT_MS,
            "log_level": 2,
        }
        self._watermarks: Any = Consumer({**configuration, "isolation.level": "read_uncommitted"})
        self.reader: Any = Consumer(
            {
                **configuration,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
                "fetch.queue.backoff.ms": 5,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watermarks.close()
        self.reader.close()

    def watermarks(self, partition: Partition) -> tuple[int, int]:
        """(low, high) of a partition, asked until it has a leader or the deadline passes. Raises AccessRefused."""
        deadline = time.monotonic() + WATERMARK_DEADLINE_S
        while True:
            self.refuse_if_cancelled()
            try:
                low, high = self._watermarks.get_watermark_offsets(TopicPartition(*partition), timeout=10)
                return low, high
            except KafkaException as failure:
                if failure.args[0].code() == KafkaError._UNKNOWN_PARTITION:
                    self._refuse_unauthorized(partition[0])
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def refuse_if_cancelled(self) -> None:
        """Raises RestoreCancelled."""
        if self._cancelled.is_set():
            raise RestoreCancelled("its shards have gone to another worker")

    def refuse(self, error: KafkaError, topic: str) -> None:
        """Raises AccessRefused where this principal may not read the topic: no waiting brings its records."""
        if is_refusal(error):
            raise AccessRefused(self._brokers.explained(error, f"read {topic}"))

    def _refuse_unauthorized(self, topic: str) -> None:
        """A topic that is hidden from us answers as one without partitions; its metadata says why."""
        with suppress(KafkaException):
            found = self._watermarks.list_topics(topic, timeout=10).topics[topic]
            if found.error is not None:
                self.refuse(found.error, topic)


class PartitionLog:
    """`ShardLog` of one shard: its partition of every changelog topic, with the end fixed before anything is read."""

    def __init__(self, shard: int, topics: Sequence[str], consumer: RestoreConsumer) -> None:
        self._shard = shard
        self._consumer = consumer
        self._ends = {topic: consumer.watermarks((topic, shard)) for topic in topics}

    def read(self, topic: str, start_offset: int = 0) -> Iterator[Message]:
        """See `contract.ShardLog`. Raises ValueError when retention has removed what is asked for."""
        self._consumer.refuse_if_cancelled()
        low, high = self._ends[topic]
        if 0 < start_offset < low:
            raise ValueError(f"{topic}[{self._shard}] begins at {low}; the restore needs {start_offset}")
        start = max(low, start_offset)
        if start >= high:
            return
        self._consumer.reader.assign([TopicPartition(topic, self._shard, start)])
        yield from self._records(topic, high)
        self._consumer.reader.unassign()

    def offset_at(self, topic: str, timestamp_ms: int) -> int:
        """See `contract.ShardLog`."""
        wanted = TopicPartition(topic, self._shard, timestamp_ms)
        [found] = self._consumer.reader.offsets_for_times([wanted], timeout=WATERMARK_DEADLINE_S)
        offset: int = found.offset
        return offset if offset >= 0 else self._ends[topic][1]

    def _records(self, topic: str, high: int) -> Iterator[Message]:
        """Until the end-of-partition event lies at or beyond `high`: markers and aborted records carry no message."""
        deadline = time.monotonic() + self._consumer.stalled_s
        while True:
            events = self._consumer.reader.consume(READ_RECORDS, 0.025)
            self._consumer.failpoints.reach("mid_restore")
            for event in events:
                self._consumer.refuse_if_cancelled()
                if event.error() is None:
                    deadline = time.monotonic() + self._consumer.stalled_s
                    yield event
                else:
                    self._consumer.refuse(event.error(), topic)
                    if _reached(event, high):
                        return
            self._consumer.refuse_if_cancelled()
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{topic}[{self._shard}]: records below {high} stay hidden by an open transaction for"
                    f" {self._consumer.stalled_s:.0f} s; look for a hanging transaction"
                )


def restore_shards(
    committed: Mapping[int, Mapping[str, int | None]], store: ShardStore, consumer: RestoreConsumer
) -> dict[int, dict[str, int]]:
    """Rebuild each shard and settle where it goes on. `committed` was fetched (stable) before the watermarks are.

    Returns the next offset per shard and input topic. Raises ValueError where state and offsets contradict each other.
    """
    resumed: dict[int, dict[str, int]] = {}
    for shard, offsets in committed.items():
        store.forget(shard)
        log = PartitionLog(shard, store.changelog_topics, consumer)
        decided = store.restore(shard, log)
        resumed[shard] = {topic: _resume(shard, topic, offset, decided, store) for topic, offset in offsets.items()}
    return resumed


def _resume(shard: int, topic: str, committed: int | None, decided: Mapping[str, int], store: ShardStore) -> int:
    """The offset both sides agree on. Offsets may be missing (expired), never different: they move with the state."""
    if not store.changelog_topics:
        return committed or 0
    known = decided.get(topic)
    if committed is None and known is not None:
        LOGGER.warning(f"{topic}[{shard}]: no committed offset (expired?); going on from the log at {known}")
        return known
    if committed != known:
        raise ValueError(
            f"{topic}[{shard}]: the group has committed {committed}, the restored state has decided up to {known};"
            " they move in one transaction, so one of them was changed from outside"
        )
    return committed or 0


def past_retention(
    resumed: Mapping[int, Mapping[str, int]], store: ShardStore, consumer: RestoreConsumer
) -> dict[int, dict[str, int]]:
    """The offsets to read from: these, or the log's beginning where retention has passed them.

    A committed offset stands behind the last record, and a marker of its transaction stands there still. Retention
    deletes both, and the log then begins behind the offset although nothing was missed (after seven quiet days on
    payments.returns). Where records are numbered the stage notices if one was; elsewhere ValueError is raised.
    """
    return {
        shard: {topic: _kept(topic, shard, offset, store, consumer) for topic, offset in offsets.items()}
        for shard, offsets in resumed.items()
    }


def _kept(topic: str, shard: int, offset: int, store: ShardStore, consumer: RestoreConsumer) -> int:
    low, _ = consumer.watermarks((topic, shard))
    if offset < low and topic not in store.numbered_topics:
        raise ValueError(
            f"{topic}[{shard}] begins at {low} and is decided up to {offset}: retention has removed records that may"
            " never have been decided; an archive may still hold them (docs/retention.md: undecided records deleted)"
        )
    return max(offset, low)


def _reached(event: Message, high: int) -> bool:
    error: Any = event.error()
    if error.code() != KafkaError._PARTITION_EOF:
        if error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise KafkaException(error)
        return False
    offset: int = event.offset()
    return offset >= high
