"""The archive in front of the brokers' log: a partition's records that the brokers hold no longer.

Guarantees that both touch or overlap. A damaged archive is a difference that names the object, never a record.
"""

from collections.abc import Iterator

from millrace.audit.report import Differs, Invariant
from runtime.archive.manifest import ArchiveDamaged
from runtime.archive.reader import Archive, PartitionArchive
from runtime.archive.segment import ArchivedRecord


def archived_records(archive: Archive, topic: str, partition: int, start: int, end: int) -> Iterator[ArchivedRecord]:
    """What the archive has of these offsets. Raises Differs where it is damaged."""
    try:
        yield from archive.partition(topic, partition).records(start, end)
    except ArchiveDamaged as damaged:
        raise Differs(Invariant.TRACE, f"archive {damaged.place}", damaged.expected, damaged.found) from damaged


def require_seam(archive: PartitionArchive, kept_from: int, kept_to: int) -> None:
    """Every offset from the archive's first on is in the archive, in the topic, or in both. Raises ArchiveDamaged."""
    place = f"{archive.topic}[{archive.partition}]"
    if archive.next_offset < kept_from:
        expected = f"offsets {archive.next_offset} to {kept_from - 1} in the archive or in the topic"
        raise ArchiveDamaged(place, expected, "them in neither: the archive ends before the topic begins")
    if archive.next_offset > kept_to:
        expected = f"a topic that reaches offset {archive.next_offset}, as the archive does"
        raise ArchiveDamaged(place, expected, f"one that ends at {kept_to}")
