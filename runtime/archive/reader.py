"""What the archive holds of a partition, in order of the offsets, and only what its manifest vouches for.

Reads the manifest whole (the chain is checked once), then segment by segment. Guarantees that no record of a segment is
handed out before the segment's bytes have the hash that the manifest names. Memory: the links, and one block.
"""

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from runtime.archive.manifest import BEGINNING, ArchiveDamaged, Link, chain
from runtime.archive.objects import ObjectFolder
from runtime.archive.segment import ArchivedRecord, SegmentUnreadable, digest_of, read_segment


class PartitionArchive:
    """One partition; raises ArchiveDamaged where its chain is broken."""

    def __init__(self, folder: ObjectFolder, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self._folder = folder
        self.links: list[Link] = []
        self.head = BEGINNING
        for link, self.head in chain(folder, topic, partition):
            self.links.append(link)

    @property
    def first_offset(self) -> int:
        """0 where nothing is archived, as `next_offset` then is."""
        return self.links[0].first_offset if self.links else 0

    @property
    def next_offset(self) -> int:
        """One past the last offset covered without a gap."""
        return self.links[-1].next_offset if self.links else 0

    def require_no_gap(self) -> None:
        """Raises ArchiveDamaged with the offsets of the first gap between two segments."""
        for before, link in zip(self.links, self.links[1:], strict=False):
            require_adjacent(before, link)

    def records(self, start: int, end: int) -> Iterator[ArchivedRecord]:
        """Records with start ≤ offset < end. Raises ArchiveDamaged, OSError."""
        first = bisect_right(self.links, start, key=lambda link: link.next_offset)
        for link in self.links[first:]:
            if link.first_offset >= end:
                return
            for record in self.checked(link):
                if record.offset() >= end:
                    return
                if record.offset() >= start:
                    yield record

    def checked(self, link: Link) -> Iterator[ArchivedRecord]:
        """The records of a segment, once its bytes are found right. Raises ArchiveDamaged, OSError."""
        path = self._folder.path(link.segment_key)
        self._require_bytes(link, path)
        found, last_offset = 0, link.first_offset - 1
        try:
            for record in read_segment(path, self.topic, self.partition, link.first_offset):
                if not last_offset < record.offset() < link.next_offset:
                    expected = f"an offset above {last_offset} and below {link.next_offset}"
                    raise ArchiveDamaged(link.segment_key, expected, record.offset())
                found, last_offset = found + 1, record.offset()
                yield record
        except SegmentUnreadable as error:
            raise ArchiveDamaged(link.segment_key, f"a segment of {link.records} records", error) from error
        if found != link.records:
            raise ArchiveDamaged(link.segment_key, f"{link.records} records", found)

    def _require_bytes(self, link: Link, path: Path) -> None:
        try:
            found = digest_of(path)
        except FileNotFoundError:
            raise ArchiveDamaged(link.segment_key, f"a segment of {link.size_bytes} bytes", "no such object") from None
        if found != (link.size_bytes, link.sha256):
            expected = f"{link.size_bytes} bytes with SHA-256 {link.sha256}"
            raise ArchiveDamaged(link.segment_key, expected, f"{found[0]} bytes with {found[1]}")

    def offset_at(self, unix_ms: int) -> int | None:
        """The first archived record of this time or later; None where all are earlier. Raises ArchiveDamaged."""
        for link in self.links:
            if link.last_timestamp_ms is None or link.last_timestamp_ms < unix_ms:
                continue
            for record in self.checked(link):
                if record.timestamp()[1] >= unix_ms:
                    return record.offset()
        return None


class Archive:
    """A folder of archived partitions."""

    def __init__(self, root: Path) -> None:
        self.folder = ObjectFolder(root)
        self._read: dict[tuple[str, int], PartitionArchive] = {}

    def partition(self, topic: str, partition: int) -> PartitionArchive:
        """As it was when it was first asked for. Raises ArchiveDamaged."""
        if (topic, partition) not in self._read:
            self._read[topic, partition] = PartitionArchive(self.folder, topic, partition)
        return self._read[topic, partition]


def require_adjacent(before: Link, link: Link) -> None:
    """Raises ArchiveDamaged with the offsets in between."""
    if link.first_offset != before.next_offset:
        expected = f"a segment from offset {before.next_offset} on, where the one before ends"
        raise ArchiveDamaged(link.key, expected, f"one from {link.first_offset} on")
