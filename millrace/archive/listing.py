"""What an archive holds, partition by partition: read from the manifests, whose chain is checked on the way."""

from pathlib import Path
from typing import NamedTuple

from millrace.archive.verify import partitions_in
from runtime.archive.objects import ObjectFolder
from runtime.archive.reader import PartitionArchive


class ArchivedPartition(NamedTuple):
    """Times are Unix milliseconds; offsets are those covered."""

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    segments: int
    records: int
    value_bytes: int
    size_bytes: int
    first_timestamp_ms: int | None
    last_timestamp_ms: int | None
    head_sha256: str
    """Of the last link: who notes it elsewhere can tell later that nothing up to there was exchanged."""


def listed(root: Path) -> list[ArchivedPartition]:
    """Raises ArchiveDamaged at the first link that does not join, OSError."""
    folder = ObjectFolder(root)
    found = [PartitionArchive(folder, *place) for place in sorted(partitions_in(folder))]
    return [_summed(archive) for archive in found if archive.links]


def _summed(archive: PartitionArchive) -> ArchivedPartition:
    links = archive.links
    first = (link.first_timestamp_ms for link in links if link.first_timestamp_ms is not None)
    last = (link.last_timestamp_ms for link in reversed(links) if link.last_timestamp_ms is not None)
    return ArchivedPartition(
        archive.topic,
        archive.partition,
        archive.first_offset,
        archive.next_offset,
        len(links),
        sum(link.records for link in links),
        sum(link.value_bytes for link in links),
        sum(link.size_bytes for link in links),
        next(first, None),
        next(last, None),
        archive.head.sha256,
    )
