"""The process `millrace archive run`: archives every topic of the catalogue that is to be kept, until told to stop.

Reads the topics (read_committed), writes the archive folder, and nothing else: it never holds up a payment. One process
writes to a folder. What it has not closed when it ends is read again at the next start: at most one segment a
partition.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaException

from payments.errors import InvariantViolation
from runtime.archive.manifest import ArchiveDamaged, Head, head_of
from runtime.archive.objects import ArchiveInUse, ObjectFolder
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import Failpoints
from runtime.kafka_client import AccessRefused, Brokers
from runtime.kafka_reader import PositionLost
from runtime.settings import Settings
from schemas.topics import ARCHIVED, Topic, partitions
from sinks.archive.partition import GENERATION_GAP, Limits, PartitionArchiver
from sinks.archive.tail import LogTail, Partition
from sinks.topic_sink import EXIT_INVARIANT

GROUP: Final = "millrace.archive"
LOG_INTERVAL_S: Final = 10

log = logging.getLogger("millrace.archive")


class StoppedEarly(Exception):
    """Told to stop before all was archived that was there."""

    def __init__(self, segments: int) -> None:
        super().__init__(f"stopped, {segments} segments made; what is not archived yet is archived by the next run")


class Archiver:
    """`run` goes on until `stop`; `run_once` archives what is there and returns.

    `skip_deleted` goes on behind records that retention deleted before they were archived; the gap stays visible.
    """

    def __init__(self, settings: Settings, topics: Sequence[Topic] = ARCHIVED, *, skip_deleted: bool = False) -> None:
        if settings.archive_dir is None:
            raise ArchiveDamaged("folder", "MILLRACE_ARCHIVE_DIR or --archive", "neither")
        self._folder = ObjectFolder(settings.archive_dir)
        self._limits = Limits(settings.archive_segment_bytes, settings.archive_segment_age_ms)
        self._failpoints = Failpoints(settings.failpoint)
        self._skip_deleted = skip_deleted
        self._wanted = [(topic.name, shard) for topic in topics for shard in range(partitions(topic, settings.shards))]
        self._tail = LogTail(Brokers.of(settings), GROUP)
        self._stopping = threading.Event()
        self._partitions: dict[Partition, PartitionArchiver] = {}
        self._told_s = time.monotonic()
        self.records = 0
        self.value_bytes = 0

    def stop(self) -> None:
        """Callable from a signal handler or another thread."""
        self._stopping.set()

    def run(self) -> None:
        """Raises ArchiveInUse, ArchiveDamaged, InvariantViolation, PositionLost, KafkaException, OSError."""
        with self._folder.locked():
            try:
                self._begin()
                while not self._stopping.is_set():
                    self._step()
            finally:
                self._end()

    def run_once(self) -> int:
        """Archive all that is readable now; the number of segments made. Raises StoppedEarly, and what `run` does."""
        with self._folder.locked():
            try:
                ends = self._begin()
                while any(at.position < ends[place] for place, at in self._partitions.items()):
                    if self._stopping.is_set():
                        raise StoppedEarly(self.segments)
                    self._step()
                for at in self._partitions.values():
                    at.close_now()
                return self.segments
            finally:
                self._end()

    @property
    def segments(self) -> int:
        """Made since the start."""
        return sum(at.segments for at in self._partitions.values())

    def _begin(self) -> dict[Partition, int]:
        """Go on behind what is archived; the last stable offset of every partition."""
        ends = {}
        self._tail.require_login(sorted({topic for topic, _ in self._wanted}))
        for topic, partition in self._wanted:
            head = head_of(self._folder, topic, partition)
            first_kept, ends[topic, partition] = self._tail.kept((topic, partition), head.next_offset or 0)
            joined = self._joined(f"{topic}[{partition}]", head, first_kept, ends[topic, partition])
            self._partitions[topic, partition] = PartitionArchiver(
                self._folder, topic, partition, joined, self._limits, self._failpoints
            )
        self._tail.start({place: at.next_offset for place, at in self._partitions.items()})
        log.info("archiving from %s", {f"{t}[{p}]": at.next_offset for (t, p), at in self._partitions.items()})
        return ends

    def _joined(self, place: str, head: Head, first_kept: int, end: int) -> Head:
        if head.next_offset is None:
            return head._replace(next_offset=first_kept)
        if head.next_offset > end:
            raise InvariantViolation(
                f"{place} ends at offset {end} and is archived up to {head.next_offset}: {GENERATION_GAP}"
            )
        if head.next_offset >= first_kept:
            return head
        gap = f"{place}: offsets {head.next_offset} to {first_kept - 1} were deleted before they were archived"
        if not self._skip_deleted:
            raise InvariantViolation(f"{gap}; bring missing objects back, or go on behind them with --skip-deleted")
        log.error("ALARM %s", gap)
        return head._replace(next_offset=first_kept)

    def _step(self) -> None:
        for event in self._tail.events():
            at = self._partitions[event.topic(), event.partition()]
            if event.error() is not None:
                at.reach_end(event.offset())
            else:
                at.add(event)
                self.records += 1
                self.value_bytes += len(event)
        now_ms = time.time_ns() // 1_000_000
        for at in self._partitions.values():
            at.close_if_old(now_ms)
        self._tell(now_ms)

    def _tell(self, now_ms: int) -> None:
        if time.monotonic() - self._told_s < LOG_INTERVAL_S:
            return
        self._told_s = time.monotonic()
        open_since = [at.oldest_unarchived_ms for at in self._partitions.values()]
        oldest_s = max((now_ms - since for since in open_since if since is not None), default=0) // 1_000
        log.info(
            "records=%d value_bytes=%d segments=%d oldest_unarchived_s=%d",
            self.records,
            self.value_bytes,
            self.segments,
            oldest_s,
        )

    def _end(self) -> None:
        for at in self._partitions.values():
            at.discard()
        self._tail.close()


def run(
    settings: Settings, topics: Sequence[Topic] = ARCHIVED, *, once: bool = False, skip_deleted: bool = False
) -> int:
    """The process until SIGTERM or SIGINT; its exit code, with the reason on stderr where it is not 0."""
    try:
        archiver = Archiver(settings, topics, skip_deleted=skip_deleted)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: archiver.stop())
        if once:
            sys.stdout.write(f"{archiver.run_once()} segments made\n")
        else:
            archiver.run()
    except (InvariantViolation, ArchiveDamaged) as error:
        return _ended(str(error), EXIT_INVARIANT)
    except (StoppedEarly, AccessRefused, ArchiveInUse, PositionLost, KafkaException, OSError) as error:
        return _ended(str(error), EXIT_CRASHED)
    return 0


def _ended(reason: str, code: int) -> int:
    sys.stderr.write(f"millrace: archive: {' '.join(reason.split())}\n")
    return code
