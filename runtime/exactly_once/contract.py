"""What a stage and the engine promise each other: chunks in, records out through `produce`, state rebuilt from the log.

Reads nothing, keeps nothing: types only. Everything a stage writes through `Produce` becomes visible together with the
offsets of the chunks it decided, or not at all.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from confluent_kafka import Message


class Produce(Protocol):
    """Writes one record into the slot's open transaction.

    Callable only while a chunk is being decided or inside `ShardStore.before_commit`; at any other time it raises
    RuntimeError, because the record would belong to no cycle. A value that the broker would refuse for its size raises
    KafkaException at once: split above 900,000 bytes. None instead of a value deletes the key of a compacted topic.
    """

    def __call__(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int,
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> None: ...


class Chunk(NamedTuple):
    """Consecutive records of one partition, delivered to a stage as one event."""

    topic: str
    shard: int
    """The partition number. All input topics are keyed by account and have the same partition count."""

    records: Sequence[Message]
    """Never empty; offsets ascend, with gaps where transaction markers lie."""

    produce: Produce

    @property
    def first_offset(self) -> int:
        return _offset(self.records[0])

    @property
    def next_offset(self) -> int:
        """What the transaction commits for this partition once the chunk is decided."""
        return _offset(self.records[-1]) + 1


class ShardLog(Protocol):
    """What a shard may read while it is restored: committed records up to the high watermark captured at its start."""

    def read(self, topic: str, start_offset: int = 0) -> Iterator[Message]:
        """This shard's partition of one of the changelog topics, in order.

        Waits while an open transaction hides records below the captured high watermark; raises TimeoutError when it
        stays hidden for three transaction timeouts.
        """
        ...

    def offset_at(self, topic: str, timestamp_ms: int) -> int:
        """First offset of this shard's partition whose record time is at or after this; its end where there is none."""
        ...


class ShardStore(Protocol):
    """The state that a stage keeps per shard. One object per process; calls come from one thread at a time, except that
    a long `restore` runs beside calls for other shards.
    """

    @property
    def input_topics(self) -> tuple[str, ...]:
        """Co-partitioned topics that the stage consumes: a shard is the same partition number of each."""
        ...

    @property
    def changelog_topics(self) -> tuple[str, ...]:
        """What `restore` reads. Empty for a stage without state; its committed offsets then stand alone."""
        ...

    @property
    def numbered_topics(self) -> tuple[str, ...]:
        """Input topics whose records carry numbers of their own, so that the stage notices a missing one."""
        ...

    def restore(self, shard: int, log: ShardLog) -> Mapping[str, int]:
        """Rebuild the shard from nothing. Returns the next offset per input topic that the state has decided.

        {} for an empty log. Topics of which nothing was decided may be left out.
        """
        ...

    def forget(self, shard: int) -> None:
        """Drop the shard's state: it moved to another worker or is about to be restored."""
        ...

    def before_commit(self, shards: Collection[int], produce: Produce) -> None:
        """The cycle's last writes (snapshots) for the shards touched in it."""
        ...

    def after_commit(self, shards: Collection[int]) -> None:
        """The cycle of these shards is committed: what was written is true for ever."""
        ...


Decide = Callable[[Chunk], None]
"""A stage without Faust: decides one chunk. An exception ends the process before anything of the cycle is committed."""

Deliver = Callable[[Sequence[Chunk]], None]
"""A driver: hands chunks to the stage and returns only when every one of them is decided (the barrier)."""


def _offset(record: Message) -> int:
    offset: int | None = record.offset()
    if offset is None:
        raise ValueError("a consumed record without offset")
    return offset
