"""Keeps the restore of a shard short: writes a little of its state along with the ledger, inside the same transaction.

Writes ledger.snapshots. Accounts are divided into pages that are rewritten in turn, so no cycle carries a whole
snapshot; remembered operations are written once, in segments, and deleted when their window is over. A restore without
a local disk reads the pages and only the ledger since the oldest of them: at most one turn of all pages, PAGES ×
ENTRIES_PER_PAGE = 128,000 entries, about 0.5 s. The disk is written whenever all operations are in segments, so that
its checkpoint need not list those that aren't.
"""

from itertools import groupby
from operator import itemgetter

from payments.book import IDEMPOTENCY_WINDOW_HOURS
from runtime.exactly_once.contract import Produce
from schemas import topics
from schemas.codec.ledger import Counter, Lane
from schemas.codec.snapshots import (
    AccountsPage,
    OperationsSegment,
    ShardHead,
    encode_head,
    encode_packed_page,
    encode_segment,
)
from streams.disk.book import BookOnDisk
from streams.disk.checkpoint import FORMAT, Checkpoint
from streams.shard import Shard

PAGES = 256
"""Accounts are divided by the last byte of their id; of 1,000,000 accounts over 4 shards a page holds 1,000 (36 kB)."""

ENTRIES_PER_PAGE = 500
"""One page is written per so many entries: 1,000 accounts × 0.6 µs / 500 entries = 1.2 µs an entry, for a million."""

PAGES_PER_STEP = 16
SEGMENT_OPERATIONS = 4_096
"""Operations in one segment: 4,096 × 24 bytes = 98 kB."""

CHECKPOINT_ENTRIES = 16_384
"""A shard that mostly receives writes its segment and its disk after so many entries: what a restart has to replay."""

DELETIONS_PER_STEP = 64
"""A segment is written for each of 4,096 operations, so 64 at a time catch up with whatever a restore found."""

_HEAD_KEY = b"head"
_SEGMENT_PREFIX = b"operations-"


class SnapshotWriter:
    """Writes the next pages and segments of one shard when enough has changed."""

    def __init__(self, shard: Shard, book: BookOnDisk) -> None:
        self._shard = shard
        self._book = book
        self.next_page = 0
        """After a restore the oldest one: a worker that restarts often would else write the first pages again and
        again, and the restore would have to read the ledger from its beginning."""
        self._paged_entries = 0
        self._checkpoint_entries = 0
        self.checkpoint_due = False
        """All operations are in segments now; the disk may be written when they are committed."""

    def step(self, produce: Produce) -> None:
        """Write what is due. Call between two ledger records, so that everything written is exact at one sequence."""
        shard = self._shard
        pages = min((shard.entries - self._paged_entries) // ENTRIES_PER_PAGE, PAGES_PER_STEP)
        segments = (
            len(shard.unsaved) >= SEGMENT_OPERATIONS or shard.entries - self._checkpoint_entries >= CHECKPOINT_ENTRIES
        )
        if not pages and not segments:
            return
        for _ in range(pages):
            self._write_page(produce)
        if segments:
            self._write_segments(produce)
        self._write_head(produce)

    def checkpoint(self, appended_ms: int, saved_from: int | None = None) -> Checkpoint:
        """Where the shard stands: between two ledger records, like `step`."""
        shard = self._shard
        return Checkpoint(
            format=FORMAT,
            shards=shard.shards,
            sequence=shard.sequence,
            previous_hash=shard.previous_hash,
            appended_ms=appended_ms,
            saved_from=shard.sequence if saved_from is None else saved_from,
            time_us=shard.time_us,
            lanes={lane.value: peers for lane, peers in shard.lanes.items()},
            next_offsets=shard.decided(),
            newest_hour=self._book.operations.newest_hour,
            remembered=shard.remembered,
            next_page=self.next_page,
            entries=shard.entries - self._paged_entries,
        )

    def _write_page(self, produce: Produce) -> None:
        shard, page = self._shard, self.next_page
        self.next_page = (page + 1) % PAGES
        self._paged_entries += ENTRIES_PER_PAGE
        head = AccountsPage(shard.number, page, shard.sequence, shard.time_us, [])
        self._put(produce, page_key(page), encode_packed_page(head, self._book.accounts.page(page)))

    def _write_segments(self, produce: Produce) -> None:
        shard, hour = self._shard, self._book.operations.newest_hour
        for first in self._book.forgotten_segments(hour - IDEMPOTENCY_WINDOW_HOURS, DELETIONS_PER_STEP):
            self._put(produce, segment_key(first), None)
        first = shard.remembered - len(shard.unsaved)
        for hour, remembered in groupby(shard.unsaved, itemgetter(0)):
            operations = [(operation_id, fingerprint) for _, operation_id, fingerprint in remembered]
            for at in range(0, len(operations), SEGMENT_OPERATIONS):
                part = operations[at : at + SEGMENT_OPERATIONS]
                number = at // SEGMENT_OPERATIONS
                segment = OperationsSegment(shard.number, hour, number, shard.sequence, shard.time_us, part)
                self._put(produce, segment_key(first), encode_segment(segment))
                self._book.add_segment(first, hour)
                first += len(part)
        shard.unsaved.clear()
        self._checkpoint_entries = shard.entries
        self.checkpoint_due = True

    def _write_head(self, produce: Produce) -> None:
        shard = self._shard
        counters = [Counter(lane, peer, following) for lane in Lane for peer, following in shard.lanes[lane].items()]
        head = ShardHead(shard.number, shard.sequence, shard.previous_hash, shard.time_us, counters, shard.decided())
        self._put(produce, _HEAD_KEY, encode_head(head))

    def _put(self, produce: Produce, key: bytes, value: bytes | None) -> None:
        produce(topics.SNAPSHOTS.name, value, key=key, partition=self._shard.number)


def page_key(page: int) -> bytes:
    """Record key of a page."""
    return b"page-%d" % page


def segment_key(first: int) -> bytes:
    """Record key of the segment that begins with the operation of this number, counted from the shard's first.

    Never used for other operations: whoever restores the shard counts alike, so a worker whose disk is behind can't
    overwrite a segment that it does not know of, only write again what it holds.
    """
    return _SEGMENT_PREFIX + b"%d" % first


def segment_first(key: bytes) -> int:
    """The operation with which the segment of this record key begins."""
    return int(key.removeprefix(_SEGMENT_PREFIX))
