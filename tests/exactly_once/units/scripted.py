"""Scripted stands for what the engine talks to: records, a store, a consumer and a producer that note every call.

Nothing here is a broker: what Kafka itself guarantees is tested against Kafka alone (tests/exactly_once).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from runtime.exactly_once.contract import Produce, ShardLog

INPUT, CHANGELOG = "in", "log"


class Record:
    """A consumed record, or the end of a partition, or an error in between."""

    def __init__(
        self, offset: int, partition: int = 0, topic: str = INPUT, size_bytes: int = 10, error: KafkaError | None = None
    ) -> None:
        self._offset, self._partition, self._topic = offset, partition, topic
        self._size_bytes, self._error = size_bytes, error

    def __len__(self) -> int:
        return self._size_bytes

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset


def end_of_partition(offset: int) -> Record:
    """What a consumer says when it has reached the end as the broker sees it."""
    return Record(offset, error=KafkaError(KafkaError._PARTITION_EOF))


class Store:
    """A stage's state: which offsets it says are decided, and what it was asked to do."""

    def __init__(
        self,
        decided: Mapping[int, Mapping[str, int]] | None = None,
        *,
        inputs: tuple[str, ...] = (INPUT,),
        changelogs: tuple[str, ...] = (CHANGELOG,),
        numbered: tuple[str, ...] = (),
    ) -> None:
        self.input_topics, self.changelog_topics, self.numbered_topics = inputs, changelogs, numbered
        self.calls: list[tuple[str, object]] = []
        self._decided = decided or {}

    def restore(self, shard: int, log: ShardLog) -> Mapping[str, int]:
        self.calls.append(("restore", shard))
        return self._decided.get(shard, {})

    def forget(self, shard: int) -> None:
        self.calls.append(("forget", shard))

    def before_commit(self, shards: Collection[int], produce: Produce) -> None:
        self.calls.append(("before_commit", set(shards)))

    def after_commit(self, shards: Collection[int]) -> None:
        self.calls.append(("after_commit", set(shards)))


class Consumer:
    """A consumer of the group or of a restore: answers from its lists, notes what it was told."""

    def __init__(self) -> None:
        self.first: Record | None = None
        self.batches: list[list[Record]] = []
        self.waits: list[tuple[str, float]] = []
        self.marks: dict[tuple[str, int], tuple[int, int]] = {}
        self.offsets: dict[tuple[str, int], int] = {}
        self.assigned: list[tuple[str, list[tuple[str, int, int]]]] = []
        self.times: dict[int, int] = {}
        self.metadata = b"CGMDv2:\x05\0\0\0group\0member\0\1"
        self.closed = False

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.assigned.append(("assign", [(p.topic, p.partition, p.offset) for p in partitions]))

    def incremental_assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.assigned.append(("incremental", [(p.topic, p.partition, p.offset) for p in partitions]))

    def unassign(self) -> None:
        self.assigned.append(("unassign", []))

    def consume(self, count: int, timeout_s: float) -> list[Record]:
        self.waits.append(("consume", timeout_s))
        return self.batches.pop(0) if self.batches else []

    def poll(self, timeout_s: float) -> Record | None:
        self.waits.append(("poll", timeout_s))
        first, self.first = self.first, None
        return first

    def committed(self, asked: Sequence[TopicPartition], timeout_s: float) -> list[TopicPartition]:
        none = -1001  # what the client says of a partition without a committed offset
        return [TopicPartition(p.topic, p.partition, self.offsets.get((p.topic, p.partition), none)) for p in asked]

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float = 0) -> tuple[int, int]:
        return self.marks[partition.topic, partition.partition]

    def offsets_for_times(self, asked: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition(p.topic, p.partition, self.times.get(p.offset, -1)) for p in asked]

    def consumer_group_metadata(self) -> bytes:
        return self.metadata

    def close(self) -> None:
        self.closed = True


class Producer:
    """A transactional producer: notes the calls, and fails as it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures: dict[str, list[Exception]] = {}
        self.left_unflushed = 0

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.failures.get(name):
            raise self.failures[name].pop(0)

    def init_transactions(self, timeout_s: float) -> None:
        self._called("init")

    def begin_transaction(self) -> None:
        self._called("begin")

    def produce(self, *arguments: Any, **options: Any) -> None:
        self._called("produce")

    def poll(self, timeout_s: float) -> None:
        self._called("poll")

    def flush(self, timeout_s: float) -> int:
        self._called("flush")
        return self.left_unflushed

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        self._called("send_offsets")

    def commit_transaction(self, timeout_s: float) -> None:
        self._called("commit")
