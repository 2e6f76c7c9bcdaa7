"""The requests that this process has to see to: a member of the connectors' group, with a window per partition.

Reads connectors.requests and the group's offsets; keeps what of each partition is done. One thread. A partition that
leaves takes its undone requests along: the next owner sends them again, with the same keys.
"""

import time
from collections.abc import Callable, Collection
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.lanes import Work
from connectors.window import Window
from payments.errors import InvariantViolation, UndecodableRecord
from runtime.exactly_once.crash import crash
from runtime.exactly_once.membership import (
    COMMITTED_DEADLINE_S,
    consumer_configuration,
    once_coordinated,
    parse_group_metadata,
)
from runtime.kafka_client import AccessRefused, Brokers, is_refusal
from runtime.settings import Settings
from schemas.codec.connectors import decode_request

RECEIVE_RECORDS = 500
"""Per call: less than a window, so that one call can't overfill it by much."""

POSITION_ALONE_S = 60.0
"""Of a topic that is kept for 7 days."""


class Inbox:
    """Owns the consumer and the windows."""

    def __init__(self, group: str, topic: str, settings: Settings) -> None:
        self.on_gone: Callable[[Collection[int]], None] = lambda _: None
        """These shards have left."""
        self._group = group
        self._topic = topic
        # Whole assignments, whatever the workers use: a rebalance here costs nothing but calls that are repeated.
        self._settings = settings.model_copy(update={"group_protocol": "classic"})
        self._brokers = Brokers.of(settings)
        self._windows: dict[int, Window] = {}
        self._unsaved: dict[int, float] = {}
        """Shards whose windows have changed since they were committed, and since when."""
        self._paused: set[int] = set()
        self._consumer: Any = None

    def join(self) -> None:
        """After `init_transactions`: the previous incarnation is fenced before its offsets are fetched."""
        self._consumer = Consumer(
            {
                **consumer_configuration(self._group, self._settings),
                "enable.partition.eof": True,
                "error_cb": self._on_error,
            }
        )
        self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._revoke, on_lost=self._lost)

    def receive(self) -> list[Work]:
        """What is there now, without waiting. Raises AccessRefused, InvariantViolation, KafkaException."""
        self._pause_what_is_full()
        first = self._consumer.poll(0)
        found = []
        for record in [] if first is None else [first, *self._consumer.consume(RECEIVE_RECORDS - 1, 0)]:
            window = self._windows.get(record.partition())
            if record.error() is not None:
                self._note(record, window)
            elif window is not None and window.take(record.offset()):
                found.append(_work(record))
        return found

    def finish(self, work: Work) -> None:
        """Done in the transaction that takes `positions` next."""
        self._windows[work.shard].finish(work.offset)
        self._unsaved.setdefault(work.shard, time.monotonic())

    def positions(self) -> list[TopicPartition]:
        """What the transaction commits: of every shard whose window has changed."""
        windows = {shard: self._windows[shard] for shard in self._unsaved}
        self._unsaved.clear()
        return [TopicPartition(self._topic, s, w.position, w.metadata) for s, w in windows.items()]

    def is_overdue(self) -> bool:
        """A position behind markers alone is committed in the end: once retention has deleted those, an offset in front
        of them would look as if requests were lost.
        """
        return any(time.monotonic() - since_s > POSITION_ALONE_S for since_s in self._unsaved.values())

    def first_undone(self, shard: int) -> int:
        return self._windows[shard].position

    def full_shards(self) -> list[int]:
        """Nothing more is read of these before their oldest request is done."""
        return [shard for shard, window in self._windows.items() if window.is_full]

    def group_metadata(self) -> bytes:
        """Of a live membership: the broker takes a commit that names no member."""
        metadata: bytes = self._consumer.consumer_group_metadata()
        generation, member = parse_group_metadata(metadata)
        if generation < 0 or not member:
            crash(f"not a member of group {self._group} (generation {generation}): refusing to commit")
        return metadata

    def leave(self) -> None:
        self._consumer.close()

    def _pause_what_is_full(self) -> None:
        full = set(self.full_shards())
        self._consumer.pause([TopicPartition(self._topic, shard) for shard in full - self._paused])
        self._consumer.resume([TopicPartition(self._topic, shard) for shard in self._paused - full])
        self._paused = full

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """An exception in a rebalance callback would surface at some later poll, with the partitions half taken."""
        try:
            self._assign(consumer, partitions)
        except (KafkaException, InvariantViolation, ValueError) as failure:
            crash(f"assignment of {[partition.partition for partition in partitions]}: {failure}")

    def _assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        committed = once_coordinated(lambda left_s: consumer.committed(partitions, left_s), COMMITTED_DEADLINE_S)
        for found in committed:
            if found.error:
                raise KafkaException(found.error)
            low, _ = consumer.get_watermark_offsets(TopicPartition(self._topic, found.partition), COMMITTED_DEADLINE_S)
            self._windows[found.partition] = self._window(found, low)
        starts = [TopicPartition(self._topic, shard, window.position) for shard, window in self._windows.items()]
        consumer.assign(starts)

    def _window(self, committed: TopicPartition, low: int) -> Window:
        if committed.offset < 0:
            return Window(low)
        if committed.offset < low:
            raise InvariantViolation(
                f"{self._topic}[{committed.partition}] begins at {low} and is done up to {committed.offset}:"
                " retention has removed requests that may never have been sent; look for them at the providers, then"
                " set the group's offset to the beginning"
            )
        return Window(committed.offset, committed.metadata or "")

    def _revoke(self, _: Any, partitions: list[TopicPartition]) -> None:
        gone = [partition.partition for partition in partitions]
        for shard in gone:
            self._windows.pop(shard, None)
            self._unsaved.pop(shard, None)
        self._paused -= set(gone)
        self.on_gone(gone)

    def _lost(self, _: Any, partitions: list[TopicPartition]) -> None:
        crash(f"partitions lost, another process may own them: {[partition.partition for partition in partitions]}")

    def _note(self, record: Message, window: Window | None) -> None:
        """The end of a partition, or trouble. Raises AccessRefused, KafkaException."""
        error: Any = record.error()
        shard, end = record.partition(), record.offset()
        if error.code() == KafkaError._PARTITION_EOF:
            if window is not None and shard is not None and end is not None and window.skip_to(end):
                self._unsaved.setdefault(shard, time.monotonic())
            return
        if is_refusal(error):
            raise AccessRefused(self._brokers.explained(error, f"read {self._topic}"))
        if error.fatal() or error.code() in (KafkaError._MAX_POLL_EXCEEDED, KafkaError._AUTO_OFFSET_RESET):
            raise KafkaException(error)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            crash(f"consumer of {self._group}: {error}")


def _work(record: Message) -> Work:
    """Only our own stages write this topic: a record that is none of theirs is a bug, and stops the connectors."""
    shard, offset = record.partition(), record.offset()
    assert shard is not None
    assert offset is not None
    _, recorded_at_ms = record.timestamp()
    try:
        request = decode_request(record.value() or b"")
    except UndecodableRecord as error:
        raise InvariantViolation(f"{record.topic()}[{shard}] offset {offset}: {error}") from error
    return Work(shard, offset, record.key() or b"", request, recorded_at_ms * 1_000)
