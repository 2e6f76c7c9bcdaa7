"""Keeps the restore of a shard short: writes a little of its state along with the ledger, inside the same transaction.

Writes ledger.snapshots. Accounts and their open items are divided into pages that are rewritten in turn, so no cycle
carries a whole snapshot; remembered operations and receipts are written once, in segments, and deleted when their
window is over. A restore without a local disk reads the pages and only the ledger since the oldest of them: at most one
turn of all pages, PAGES × ENTRIES_PER_PAGE = 128,000 entries, about 0.5 s. The disk is written whenever everything
remembered is in segments, so that its checkpoint need not list what isn't.

Operations and receipts are written together, whichever of them is due, at one sequence. So one number holds for both:
below the sequence of the newest segment, of either kind, everything remembered is in segments. Where a kind has nothing
new it has no segment of that sequence, and needs none. The price is small segments of receipts.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby, zip_longest
from operator import itemgetter

from payments.errors import UndecodableRecord
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
from streams.disk.items import joined
from streams.disk.operations import OPERATIONS, RECEIPTS, OperationsOnDisk
from streams.shard import Shard

PAGES = 256
"""Accounts are divided by the last byte of their id; of 1,000,000 accounts over 4 shards a page holds 1,000 (36 kB)."""

ENTRIES_PER_PAGE = 500
"""One page is written per so many entries: 1,000 accounts × 0.6 µs / 500 entries = 1.2 µs an entry, for a million."""

PART_BYTES = 400_000
"""Of accounts, and as much of items, in one record: with its header below the 900,000 bytes that a stage may write at
once. A page of more than 10,800 accounts (37 bytes) or 10,000 refunds (40; a hold has 66, a dispute 74, a journal of 64
legs 1,520) is written in parts. It has no bound, but costs: 100,000 refunds of one merchant are 4 MB in each turn."""

PAGES_PER_STEP = 16
SEGMENT_OPERATIONS = 4_096
"""Operations in one segment: 4,096 × 24 bytes = 98 kB."""

CHECKPOINT_ENTRIES = 16_384
"""A shard that mostly receives writes its segment and its disk after so many entries: what a restart has to replay."""

DELETIONS_PER_STEP = 64
"""A segment is written for each of 4,096 operations, so 64 at a time catch up with whatever a restore found."""

_HEAD_KEY = b"head"
_PAGE_PREFIX = b"page-"
_KINDS = OPERATIONS.name, RECEIPTS.name


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
        """Everything remembered is in segments now; the disk may be written when they are committed."""

    def step(self, produce: Produce) -> None:
        """Write what is due. Call between two ledger records, so that everything written is exact at one sequence."""
        shard = self._shard
        pages = min((shard.entries - self._paged_entries) // ENTRIES_PER_PAGE, PAGES_PER_STEP)
        unsaved = max(len(kept.unsaved) for kept in self._book.remembered.values())
        segments = unsaved >= SEGMENT_OPERATIONS or shard.entries - self._checkpoint_entries >= CHECKPOINT_ENTRIES
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
            operations=self._book.operations.reached,
            receipts=self._book.receipts.reached,
            next_page=self.next_page,
            entries=shard.entries - self._paged_entries,
        )

    def _write_page(self, produce: Produce) -> None:
        shard, page = self._shard, self.next_page
        self.next_page = (page + 1) % PAGES
        self._paged_entries += ENTRIES_PER_PAGE
        head = AccountsPage(shard.number, page, shard.sequence, shard.time_us, [])
        accounts, items = _parts(self._book.accounts.page(page)), _parts(self._book.items.page(page))
        for part, (some, their_items) in enumerate(zip_longest(accounts, items)):
            value = encode_packed_page(head, some or []).removesuffix(joined([]))  # which ended with no items
            value += joined(their_items or [])
            self._put(produce, page_key(page, part), value)

    def _write_segments(self, produce: Produce) -> None:
        for kept in self._book.remembered.values():
            for first in kept.segments.forgotten(kept.oldest_hour, DELETIONS_PER_STEP):
                self._put(produce, segment_key(kept.window.name, first), None)
            self._write_unsaved(produce, kept)
        self._checkpoint_entries = self._shard.entries
        self.checkpoint_due = True

    def _write_unsaved(self, produce: Produce, kept: OperationsOnDisk) -> None:
        shard, first = self._shard, kept.count - len(kept.unsaved)
        for hour, remembered in groupby(kept.unsaved, itemgetter(0)):
            operations = [(operation_id, fingerprint) for _, operation_id, fingerprint in remembered]
            for at in range(0, len(operations), SEGMENT_OPERATIONS):
                part = operations[at : at + SEGMENT_OPERATIONS]
                number = at // SEGMENT_OPERATIONS
                segment = OperationsSegment(shard.number, hour, number, shard.sequence, shard.time_us, part)
                self._put(produce, segment_key(kept.window.name, first), encode_segment(segment))
                kept.segments.add(first, hour)
                first += len(part)
        kept.unsaved.clear()

    def _write_head(self, produce: Produce) -> None:
        shard = self._shard
        counters = [Counter(lane, peer, following) for lane in Lane for peer, following in shard.lanes[lane].items()]
        head = ShardHead(shard.number, shard.sequence, shard.previous_hash, shard.time_us, counters, shard.decided())
        self._put(produce, _HEAD_KEY, encode_head(head))

    def _put(self, produce: Produce, key: bytes, value: bytes | None) -> None:
        produce(topics.SNAPSHOTS.name, value, key=key, partition=self._shard.number)


def _parts(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Runs of rows of at most PART_BYTES; at least one, which may be empty."""
    part: list[bytes] = []
    part_bytes = 0
    for row in rows:
        if part and part_bytes + len(row) > PART_BYTES:
            yield part
            part, part_bytes = [], 0
        part.append(row)
        part_bytes += len(row)
    yield part


def page_key(page: int, part: int = 0) -> bytes:
    """Record key of a page, or of a further part of a page that is too large for one record.

    When the page has become smaller, parts of an earlier turn stay: with another sequence than its first record has.
    """
    return _PAGE_PREFIX + (b"%d-%d" % (page, part) if part else b"%d" % page)


def is_page(key: bytes) -> bool:
    """Whether a record of the snapshot topic is a page, or a part of one."""
    return key.startswith(_PAGE_PREFIX)


def segment_key(kind: str, first: int) -> bytes:
    """Record key of the segment that begins with the item of this number, counted from the shard's first of its kind.

    Never used for other items: whoever restores the shard counts alike, so a worker whose disk is behind can't
    overwrite a segment that it does not know of, only write again what it holds.
    """
    return f"{kind}-{first}".encode()


def segment_of(key: bytes) -> tuple[str, int]:
    """Kind and first item of the segment of this record key. Raises UndecodableRecord."""
    kind, _, first = key.decode(errors="replace").partition("-")
    if kind not in _KINDS or not first.isdecimal():
        raise UndecodableRecord(f"{key!r} is no key of a segment")
    return kind, int(first)
