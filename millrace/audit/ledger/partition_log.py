"""One partition as it stands: committed records from the first one kept to the high watermark of the audit's start.

Reads Kafka (read_committed). The high watermark counts records of open transactions too: they are waited for, because
what is behind them was decided as well.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from payments.errors import MillraceError
from runtime.kafka_client import AccessRefused, Brokers, is_refusal
from runtime.kafka_login import refuse_wrong_login
from schemas import topics

HIDDEN_DEADLINE_S = 60
"""An open transaction ends after at most transaction_timeout_ms (10 s by default) and the broker's sweep (10 s)."""

_FETCH_RECORDS = 500
_WAIT_S = 0.02
"""The client waits this long for a full batch, so it is also what the end of each partition costs."""

_REQUEST_TIMEOUT_S = 30

Advance = Callable[[int], None]
"""Called with the number of records just read."""


class AuditImpossible(MillraceError):
    """The audit cannot be made (nothing was found to be wrong)."""


class AuditedTopics(NamedTuple):
    """Names of the topics that an audit reads. Their extents are asked for in this order, the ledger first: then the
    inputs reach at least as far as what it has decided.
    """

    ledger: str = topics.LEDGER.name
    commands: str = topics.COMMANDS.name
    credits: str = topics.CREDITS.name
    returns: str = topics.RETURNS.name
    quarantine: str = topics.QUARANTINE.name


class Extent(NamedTuple):
    """First offset kept, and one past the last."""

    start: int
    end: int

    @property
    def is_complete(self) -> bool:
        """False where retention deleted the beginning."""
        return self.start == 0


Extents = dict[tuple[str, int], Extent]


def extents(brokers: Brokers, names: tuple[str, ...], shards: int) -> Extents:
    """Extent of every partition of these topics, in their order. Raises AuditImpossible."""
    _require_login(brokers)
    consumer = _consumer(brokers, "read_uncommitted")
    try:
        found: Extents = {}
        for name in names:
            known = consumer.list_topics(name, timeout=_REQUEST_TIMEOUT_S).topics[name]
            if known.error is not None and is_refusal(known.error):
                raise AuditImpossible(brokers.explained(known.error, f"read {name}"))
            if known.error is not None or len(known.partitions) != shards:
                raise AuditImpossible(
                    f"topic {name} has {len(known.partitions)} partitions and this installation {shards} shards:"
                    " `millrace up` makes the topics, MILLRACE_SHARDS says how many shards they were made with"
                )
            for shard in range(shards):
                found[name, shard] = _extent(consumer, TopicPartition(name, shard))
        return found
    except KafkaException as error:
        raise _unanswered(brokers, error) from error
    finally:
        consumer.close()


def _extent(consumer: Consumer, partition: TopicPartition) -> Extent:
    """Asked until the partition has a leader: one just created has none for 100 ms, after a crash for 10 s."""
    give_up_at = time.monotonic() + _REQUEST_TIMEOUT_S
    while True:
        try:
            return Extent(*consumer.get_watermark_offsets(partition, timeout=_REQUEST_TIMEOUT_S))
        except KafkaException:
            if time.monotonic() > give_up_at:
                raise
        time.sleep(0.2)


def offsets_at(brokers: Brokers, topic: str, shards: int, unix_ms: int) -> dict[int, int]:
    """By shard, the first offset that the broker took in at this time or later; shards without one are left out.

    Raises AuditImpossible.
    """
    consumer = _consumer(brokers, "read_uncommitted")
    try:
        asked = [TopicPartition(topic, shard, unix_ms) for shard in range(shards)]
        answers = consumer.offsets_for_times(asked, timeout=_REQUEST_TIMEOUT_S)
        for answer in answers:
            if answer.error is not None:
                raise AuditImpossible(f"{topic}[{answer.partition}]: {answer.error.str()}")
        return {answer.partition: answer.offset for answer in answers if answer.offset >= 0}
    except KafkaException as error:
        raise _unanswered(brokers, error) from error
    finally:
        consumer.close()


class PartitionLog:
    """Iterate it once: every committed message of the extent, in order. Memory: 16 MB of prefetched records."""

    def __init__(self, brokers: Brokers, topic: str, partition: int, extent: Extent, advance: Advance) -> None:
        self.topic = topic
        self.partition = partition
        self.extent = extent
        self._brokers = brokers
        self._advance = advance

    def __iter__(self) -> Iterator[Message]:
        if self.extent.start >= self.extent.end:
            return
        consumer = _consumer(self._brokers, "read_committed")
        try:
            consumer.assign([TopicPartition(self.topic, self.partition, self.extent.start)])
            yield from self._read(consumer)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer) -> Iterator[Message]:
        """Until the end-of-partition event lies at or beyond the end: markers and aborted records carry no message."""
        moved_at = time.monotonic()
        while time.monotonic() - moved_at < HIDDEN_DEADLINE_S:
            events = consumer.consume(_FETCH_RECORDS, _WAIT_S)
            for event in events:
                if event.error() is None and event.offset() < self.extent.end:
                    moved_at = time.monotonic()
                    yield event
                elif self._ends(event):
                    return
            self._advance(len(events))
        raise AuditImpossible(
            f"{self.topic}[{self.partition}] is not readable up to offset {self.extent.end}:"
            " a transaction hangs, or the broker does not answer"
        )

    def _ends(self, event: Message) -> bool:
        error = event.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            if error.fatal() or not error.retriable():
                said = self._brokers.explained(error, f"read {self.topic}")
                raise AuditImpossible(f"{self.topic}[{self.partition}]: {said}")
            return False
        offset: int = event.offset()
        return offset >= self.extent.end


def _consumer(brokers: Brokers, isolation_level: str) -> Consumer:
    return Consumer(
        {
            **brokers.configuration(),
            "group.id": "millrace.audit",  # never joined: partitions are assigned, no offset is committed
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": isolation_level,
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 5,
            "fetch.wait.max.ms": 10,
            "queued.max.messages.kbytes": 16_384,
        }
    )


def _require_login(brokers: Brokers) -> None:
    """The client would knock for ever and name no reason."""
    try:
        refuse_wrong_login(brokers)
    except AccessRefused as refused:
        raise AuditImpossible(str(refused)) from refused


def _unanswered(brokers: Brokers, error: KafkaException) -> AuditImpossible:
    cause: KafkaError = error.args[0]
    if is_refusal(cause):
        return AuditImpossible(brokers.explained(cause, "read the log"))
    return AuditImpossible(f"{brokers.bootstrap} does not answer: {error}; is it running? `millrace up`")
