"""One partition as it stands: committed records from the first one kept to the high watermark of the audit's start.

Reads Kafka (read_committed) and, where there is one, the archive for what Kafka holds no longer. The high watermark
counts records of open transactions too: they are waited for, because what is behind them was decided as well.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from millrace.audit.ledger.archived import archived_records, require_seam
from payments.errors import MillraceError
from runtime.archive.manifest import ArchiveDamaged
from runtime.archive.reader import Archive
from runtime.archive.segment import ArchivedRecord
from runtime.kafka_client import AccessRefused, Brokers, is_refusal
from runtime.kafka_login import refuse_wrong_login
from runtime.settings import Settings
from schemas import topics
from schemas.codec.ledger import SourceTopic

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
    results: str = topics.CONNECTOR_RESULTS.name
    requests: str = topics.CONNECTOR_REQUESTS.name
    quarantine: str = topics.QUARANTINE.name

    @property
    def inputs(self) -> dict[SourceTopic, str]:
        """What the deciding stage reads."""
        return {
            SourceTopic.COMMANDS: self.commands,
            SourceTopic.CREDITS: self.credits,
            SourceTopic.RETURNS: self.returns,
            SourceTopic.CONNECTOR_RESULTS: self.results,
        }


class Extent(NamedTuple):
    """First offset kept (by the brokers or the archive), and one past the last."""

    start: int
    end: int

    @property
    def is_complete(self) -> bool:
        """False where retention deleted the beginning and no archive has it."""
        return self.start == 0


Extents = dict[tuple[str, int], Extent]


def archive_of(settings: Settings) -> Archive | None:
    """The archive that stands in for what the brokers hold no longer; none where no folder is named."""
    return None if settings.archive_dir is None else Archive(settings.archive_dir)


def extents(brokers: Brokers, names: tuple[str, ...], shards: int, archive: Archive | None = None) -> Extents:
    """Extent of every partition of these topics, in their order. Raises AuditImpossible, with the offsets that neither
    the brokers nor the archive has where there is a gap between them.
    """
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
                found[name, shard] = _with_archive(consumer, TopicPartition(name, shard), archive)
        return found
    except KafkaException as error:
        raise _unanswered(brokers, error) from error
    finally:
        consumer.close()


def _with_archive(consumer: Consumer, partition: TopicPartition, archive: Archive | None) -> Extent:
    kept = _extent(consumer, partition)
    if archive is None or kept.is_complete:
        return kept
    if not archive.folder.root.is_dir():
        raise AuditImpossible(f"there is no folder {archive.folder.root}: correct MILLRACE_ARCHIVE_DIR or --archive")
    try:
        archived = archive.partition(partition.topic, partition.partition)
        if not archived.links:
            return kept
        kept = _extent(consumer, partition)  # again: an archiver at work is then never ahead of it
        require_seam(archived, kept.start, kept.end)
        archived.require_no_gap()
    except (ArchiveDamaged, OSError) as error:
        raise AuditImpossible(str(error)) from error
    return Extent(min(kept.start, archived.first_offset), kept.end)


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


def offsets_at(
    brokers: Brokers, topic: str, shards: int, unix_ms: int, archive: Archive | None = None
) -> dict[int, int]:
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
        found = {answer.partition: answer.offset for answer in answers if answer.offset >= 0}
        return found if archive is None else found | _archived_offsets_at(consumer, topic, shards, unix_ms, archive)
    except KafkaException as error:
        raise _unanswered(brokers, error) from error
    finally:
        consumer.close()


def _archived_offsets_at(consumer: Consumer, topic: str, shards: int, unix_ms: int, archive: Archive) -> dict[int, int]:
    """Where the brokers hold the beginning no longer: their answer is never an earlier record than the archive's."""
    found = {}
    for shard in range(shards):
        if _extent(consumer, TopicPartition(topic, shard)).is_complete:
            continue
        try:
            offset = archive.partition(topic, shard).offset_at(unix_ms)
        except (ArchiveDamaged, OSError) as error:
            raise AuditImpossible(str(error)) from error
        if offset is not None:
            found[shard] = offset
    return found


class PartitionLog:
    """Iterate it once: every committed record of the extent, in order. Memory: 16 MB of prefetched records.

    Raises AuditImpossible where it can't be read, Differs where the archive is damaged.
    """

    def __init__(
        self,
        brokers: Brokers,
        topic: str,
        partition: int,
        extent: Extent,
        advance: Advance,
        archive: Archive | None = None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.extent = extent
        self._brokers = brokers
        self._advance = advance
        self._archive = archive

    def __iter__(self) -> Iterator[Message | ArchivedRecord]:
        if self.extent.start >= self.extent.end:
            return
        consumer = _consumer(self._brokers, "read_committed")
        try:
            seam = self.extent.start
            if self._archive is not None:
                seam = self._seam(consumer, self._archive)
                yield from self._archived(self._archive, seam)
            if seam < self.extent.end:
                consumer.assign([TopicPartition(self.topic, self.partition, seam)])
                yield from self._read(consumer)
        finally:
            consumer.close()

    def _seam(self, consumer: Consumer, archive: Archive) -> int:
        """The offset from which on the brokers are read: they may hold less than when the extent was asked for."""
        kept_from = _extent(consumer, TopicPartition(self.topic, self.partition)).start
        seam = max(self.extent.start, min(kept_from, self.extent.end))
        if seam == self.extent.start:
            return seam
        archived_to = archive.partition(self.topic, self.partition).next_offset
        if archived_to < seam:
            raise AuditImpossible(
                f"{self.topic}[{self.partition}]: offsets {archived_to} to {seam - 1} were deleted meanwhile and were"
                " not archived when this began: run it again"
            )
        return seam

    def _archived(self, archive: Archive, seam: int) -> Iterator[ArchivedRecord]:
        for record in archived_records(archive, self.topic, self.partition, self.extent.start, seam):
            self._advance(1)
            yield record

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
            "log_level": 2,  # errors come back as events; a connection that is closed while it logs in is none
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
