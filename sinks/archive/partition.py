"""One partition on its way into the archive: the open segment, when it is closed, and the steps that close it.

Writes one segment and one link of the manifest at a time. Exactly once rests on names: a segment is named by the
offsets it covers, its link by the first of them, and neither can be put twice. Killed anywhere, the partition goes on
behind the last link, and makes the segment that was cut off again, or the same one that lies there already.
"""

from typing import Final, NamedTuple

from confluent_kafka import Message

from payments.errors import InvariantViolation
from runtime.archive.manifest import Head, Link, objects_of
from runtime.archive.objects import ArchiveInUse, ObjectExists, ObjectFolder
from runtime.archive.segment import Sealed, SegmentWriter, digest_of
from runtime.exactly_once.failpoints import Failpoints

GENERATION_GAP: Final = "the topic was made anew, or the archive belongs to another one: use an empty archive folder"


class Limits(NamedTuple):
    """When a segment is closed: at so many bytes of values, or with its first record so old."""

    segment_bytes: int
    segment_age_ms: int


class PartitionArchiver:
    """Feed it with `add` and `reach_end` in order, and ask `close_if_old` now and then."""

    def __init__(
        self, folder: ObjectFolder, topic: str, partition: int, head: Head, limits: Limits, failpoints: Failpoints
    ) -> None:
        assert head.next_offset is not None, "the service resolves where an empty archive begins"
        self.topic = topic
        self.partition = partition
        self.next_offset = head.next_offset
        """Everything below is archived, if it was not deleted before."""

        self.position = head.next_offset
        """Everything below is read."""

        self.segments = 0
        self._folder = folder
        self._head = head
        self._limits = limits
        self._failpoints = failpoints
        self._writer: SegmentWriter | None = None
        self._at_end = False
        self._empty_since_ms: int | None = None
        self._promised = self._segment_without_link()

    def _segment_without_link(self) -> int | None:
        """Where the segment ends that a predecessor put before it was killed: the next one has to end there too."""
        segments = objects_of(self._folder, self.topic, self.partition).segments
        ends = [ends for first, ends in segments.values() if first == self.next_offset]
        if len(ends) > 1:
            raise InvariantViolation(
                f"archive {self.topic}/{self.partition}: {len(ends)} segments begin at offset {self.next_offset} and no"
                " link names one of them: two archivers wrote here; delete all but one of the segments"
            )
        return ends[0] if ends else None

    @property
    def oldest_unarchived_ms(self) -> int | None:
        """Unix time of the first record in the open segment."""
        return self._writer.first_timestamp_ms if self._writer is not None else None

    def add(self, message: Message) -> None:
        """Raises ArchiveInUse, InvariantViolation, OSError."""
        offset: int = message.offset()
        if offset < self.position:  # delivered again by the client
            return
        self._at_end = False
        self._reach(offset)
        if self._promised is None and self._spans(message.timestamp()[1]):
            self._close(offset)
        self._open().add(message)
        self._failpoints.reach("archive_mid_segment")
        self._reach(offset + 1)
        if self._promised is None and self._open().value_bytes >= self._limits.segment_bytes:
            self._close(self.position)

    def reach_end(self, offset: int) -> None:
        """Nothing is readable at this offset (the last stable one) or behind it now."""
        self._at_end = True
        self._reach(offset)

    def close_if_old(self, now_ms: int) -> None:
        """Close what is old enough; aborted records and markers alone make a segment without records, so that the
        archive reaches as far as the topic when retention deletes them.
        """
        if not self._at_end or self._promised is not None or self.position == self.next_offset:
            return
        if self._writer is None and self._empty_since_ms is None:
            self._empty_since_ms = now_ms
        since_ms = self.oldest_unarchived_ms if self._writer is not None else self._empty_since_ms
        if since_ms is not None and now_ms - since_ms >= self._limits.segment_age_ms:
            self._close(self.position)

    def close_now(self) -> None:
        """Archive everything that was read."""
        if self.position > self.next_offset:
            self._close(self.position)

    def discard(self) -> None:
        """Forget the open segment; the next start reads its records again."""
        if self._writer is not None:
            self._writer.discard()
            self._writer = None

    def _reach(self, position: int) -> None:
        self.position = max(self.position, position)
        if self._promised is not None and self.position >= self._promised:
            self._close(self._promised)

    def _spans(self, timestamp_ms: int) -> bool:
        """A record so much later begins a segment: segments are cut by the log, not by the reading."""
        first_ms = self.oldest_unarchived_ms
        return first_ms is not None and timestamp_ms - first_ms >= self._limits.segment_age_ms

    def _open(self) -> SegmentWriter:
        if self._writer is None:
            draft = self._folder.draft(f"{self.topic}-{self.partition}-{self.next_offset}.avro")
            self._writer = SegmentWriter(draft, self.topic, self.partition, self.next_offset)
        return self._writer

    def _close(self, next_offset: int) -> None:
        """Make the open segment part of the archive, once."""
        # 1. The whole segment on disk, under a name that nobody reads. Killed up to here: the draft is cleared away at
        #    the next start, and its records are read again.
        writer = self._open()
        sealed = writer.seal()
        link = self._link(next_offset, sealed)
        self._failpoints.reach("archive_after_draft")
        # 2. The segment under its key. Killed behind this: the next start finds a segment that no link names, reads the
        #    same records, ends where it ends, and finds the same bytes there.
        self._put_segment(writer, link)
        self._failpoints.reach("archive_after_segment")
        # 3. The link, whole and on disk, then under its key. From then on the segment is archived.
        encoded = link.encoded()
        head = self._head.after(link, encoded)
        self._put_link(link, encoded)
        # Killed here: the next start goes on behind this link.
        self._failpoints.reach("archive_after_link")
        self._head, self.next_offset, self._promised = head, next_offset, None
        self._writer = self._empty_since_ms = None
        self.segments += 1

    def _link(self, next_offset: int, sealed: Sealed) -> Link:
        return Link(
            topic=self.topic,
            partition=self.partition,
            sequence=self._head.sequence,
            first_offset=self.next_offset,
            next_offset=next_offset,
            **sealed._asdict(),
            previous_sha256=self._head.sha256,
        )

    def _put_segment(self, writer: SegmentWriter, link: Link) -> None:
        try:
            self._folder.put(writer.draft, link.segment_key)
        except ObjectExists:
            found = digest_of(self._folder.path(link.segment_key))
            if found != (link.size_bytes, link.sha256):
                raise InvariantViolation(
                    f"archive {link.segment_key}: {link.size_bytes} bytes with SHA-256 {link.sha256} where {found[0]}"
                    f" bytes with {found[1]} lie; no link names that object: look at it, delete it, start again"
                ) from None
            writer.draft.unlink()

    def _put_link(self, link: Link, encoded: bytes) -> None:
        draft = self._folder.draft(f"{self.topic}-{self.partition}-{self.next_offset}.json")
        self._folder.write_draft(draft, encoded)
        self._failpoints.reach("archive_after_link_draft")
        try:
            self._folder.put(draft, link.key)
        except ObjectExists:
            raise ArchiveInUse(f"archive {link.key}: another process has archived these offsets") from None
