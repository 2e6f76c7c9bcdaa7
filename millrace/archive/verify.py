"""Is the archive what it says, and what the brokers say? Every byte of it is read; nothing is changed.

Reads every link and segment, and beside each segment the same offsets of the topic, as far as the brokers still hold
them. Ends a partition at its first difference and goes on with the next. Memory: the links of one partition, one block,
and what the client prefetches (16 MB).
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Message

from millrace.audit.ledger.archived import require_seam
from millrace.audit.ledger.partition_log import Extent, Extents, PartitionLog, extents
from runtime.archive.manifest import ArchiveDamaged, Link, objects_of
from runtime.archive.objects import ObjectFolder
from runtime.archive.reader import PartitionArchive
from runtime.archive.segment import ArchivedRecord
from runtime.kafka_client import Brokers
from schemas.topics import ARCHIVED, Topic


class ArchiveDiffers(NamedTuple):
    """The first difference of one partition."""

    place: str
    """An object's key, or topic[partition] and offset."""

    expected: str
    found: str


@dataclass
class ArchiveReport:
    """What was read until the first difference of each partition."""

    partitions: int = 0
    segments: int = 0
    records: int = 0
    size_bytes: int = 0
    compared_records: int = 0
    """Of these, records that the brokers hold as well: equal in offset, time, key, headers and value."""

    compared_with_brokers: bool = False
    without_link: list[str] = field(default_factory=list)
    """Segments behind the last link: the archiver, at work or at its next start, finds them and adds the link."""

    differences: list[ArchiveDiffers] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        """For machines; see the docstrings of the fields."""
        shown = [one._asdict() for one in self.differences]
        return {"ok": self.ok, **asdict(self), "first_difference": shown[0] if shown else None, "differences": shown}


class Kept(NamedTuple):
    """What the brokers still hold of the archived topics."""

    brokers: Brokers
    extents: Extents
    compacted: frozenset[str]
    """Topics of which the brokers may have fewer records than the archive."""


class ToCompare(NamedTuple):
    """Which topics, and where."""

    brokers: Brokers
    shards: int
    topics: Sequence[Topic] = ARCHIVED

    def places(self) -> set[tuple[str, int]]:
        return {(topic.name, shard) for topic in self.topics for shard in range(self.shards)}

    def kept(self) -> Kept:
        """Raises AuditImpossible."""
        found = extents(self.brokers, tuple(topic.name for topic in self.topics), self.shards)
        return Kept(self.brokers, found, frozenset(topic.name for topic in self.topics if topic.compacted))


def verify_archive(root: Path, to_compare: ToCompare | None) -> ArchiveReport:
    """Raises AuditImpossible where the brokers do not answer, OSError where the folder can't be read."""
    began, report, folder = time.monotonic(), ArchiveReport(), ObjectFolder(root)
    archives = []
    for place in sorted({*partitions_in(folder), *(to_compare.places() if to_compare is not None else ())}):
        with _difference_kept(report):
            archives.append(PartitionArchive(folder, *place))
    # Asked for after the manifests are read: an archiver at work is then never ahead of it.
    kept = to_compare.kept() if to_compare is not None else None
    report.partitions, report.compared_with_brokers = len(archives) + len(report.differences), kept is not None
    for archive in archives:
        with _difference_kept(report):
            _verify_partition(folder, archive, kept, report)
    report.wall_s = round(time.monotonic() - began, 3)
    return report


@contextmanager
def _difference_kept(report: ArchiveReport) -> Iterator[None]:
    try:
        yield
    except ArchiveDamaged as damaged:
        report.differences.append(ArchiveDiffers(damaged.place, damaged.expected, damaged.found))


def partitions_in(folder: ObjectFolder) -> Iterator[tuple[str, int]]:
    """Every archived partition, whether or not the catalogue knows its topic."""
    for topic in folder.folders():
        for partition in folder.folders(topic):
            name = partition.split("/")[-2]
            if name.isdigit():
                yield topic[:-1], int(name)


def _verify_partition(
    folder: ObjectFolder, archive: PartitionArchive, kept: Kept | None, report: ArchiveReport
) -> None:
    _require_no_stranger(folder, archive, report)
    archive.require_no_gap()
    beside = _Beside(archive, kept)
    for link in archive.links:
        for record in _as_stated(archive, link):
            beside.compare(record)
            report.records += 1
        report.segments += 1
        report.size_bytes += link.size_bytes
    beside.conclude()
    report.compared_records += beside.compared


def _require_no_stranger(folder: ObjectFolder, archive: PartitionArchive, report: ArchiveReport) -> None:
    """A segment of offsets that another one covers is a copy, or an earlier version; one behind the last link waits."""
    objects = objects_of(folder, archive.topic, archive.partition)
    named = {link.segment_key for link in archive.links}
    for key, (first_offset, _) in objects.segments.items():
        if key not in named and first_offset >= archive.next_offset:
            report.without_link.append(key)
        elif key not in named:
            objects.strangers.append(key)
    for key in sorted(objects.strangers):
        raise ArchiveDamaged(key, "an object that a link of the manifest names", "one that none does")


def _as_stated(archive: PartitionArchive, link: Link) -> Iterator[ArchivedRecord]:
    """The records of a segment; its sums are what the link says, too."""
    value_bytes, first_ms, last_ms = 0, None, None
    for record in archive.checked(link):
        value_bytes += len(record.value() or b"")
        last_ms = record.timestamp()[1]
        first_ms = last_ms if first_ms is None else first_ms
        yield record
    stated = link.value_bytes, link.first_timestamp_ms, link.last_timestamp_ms
    found = value_bytes, first_ms, last_ms
    if stated != found:
        raise ArchiveDamaged(link.key, f"{found} (bytes of values, first and last time) as in the segment", stated)


class _Beside:
    """The topic, read beside the archive."""

    def __init__(self, archive: PartitionArchive, kept: Kept | None) -> None:
        self.compared = 0
        self._place = f"{archive.topic}[{archive.partition}]"
        extent = kept.extents.get((archive.topic, archive.partition)) if kept is not None else None
        if kept is None or extent is None:
            self._from_offset, self._may_lack = archive.next_offset, True
            self._messages: Iterator[Message] = iter(())
        else:
            require_seam(archive, extent.start, extent.end)
            self._from_offset, self._may_lack = extent.start, archive.topic in kept.compacted
            shared = Extent(max(extent.start, archive.first_offset), archive.next_offset)
            self._messages = iter(PartitionLog(kept.brokers, archive.topic, archive.partition, shared, lambda _: None))
        self._waiting = next(self._messages, None)

    def compare(self, record: ArchivedRecord) -> None:
        """Raises ArchiveDamaged where the topic holds another record, or none, or one before it."""
        offset = record.offset()
        if offset < self._from_offset:
            return
        self._refuse_missing(before=offset)
        if self._waiting is not None and self._waiting.offset() == offset:
            self._require_equal(record)
            self.compared += 1
            self._waiting = next(self._messages, None)
        elif not self._may_lack:
            raise ArchiveDamaged(f"{self._place} offset {offset}", "the archived record in the topic", "none there")

    def conclude(self) -> None:
        """Nothing that the archive covers is left over."""
        self._refuse_missing(before=None)

    def _require_equal(self, record: ArchivedRecord) -> None:
        for name in ("timestamp", "key", "headers", "value"):
            kept, archived = getattr(self._waiting, name)(), getattr(record, name)()
            if name == "timestamp":
                kept, archived = kept[1], archived[1]
            if kept != archived:
                place = f"{self._place} offset {record.offset()}"
                raise ArchiveDamaged(place, f"the {name} that the topic holds", f"another {name} in the archive")

    def _refuse_missing(self, before: int | None) -> None:
        """Raises ArchiveDamaged where the topic's next record lies before this offset (none: the archive's end)."""
        if self._waiting is None or (before is not None and self._waiting.offset() >= before):
            return
        place = f"{self._place} offset {self._waiting.offset()}"
        raise ArchiveDamaged(place, "this record in the archive, which covers its offset", "none")
