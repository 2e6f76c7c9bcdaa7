"""Rebuilds a shard: from its checkpoint on disk and the ledger since, or from its snapshots and the ledger since those.

Reads ledger.snapshots, ledger.entries and the shard's folder; writes that folder, in bounded parts. Guarantees: the
ledger read has no gap and its hash chain holds, or the shard is refused; the state is the one that folding the whole
ledger gives. A disk that does not belong to this ledger is emptied and never believed.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from confluent_kafka import Message

from payments.book import (
    changed_account,
    evolve_account,
    evolve_operations,
    evolve_receipts,
    is_receipt,
    is_remembered,
    receipt_id,
)
from payments.entries import Entry
from payments.errors import InvariantViolation, UndecodableRecord
from runtime.exactly_once.contract import ShardLog
from schemas import topics
from schemas.codec.ledger import Counter, PackedLedgerRecord, decode_ledger_record, record_hash
from schemas.codec.snapshots import AccountsPage, OperationsSegment, ShardHead, decode_snapshot
from streams.disk.accounts import page_of
from streams.disk.book import BookOnDisk
from streams.disk.checkpoint import Checkpoint, CheckpointStale
from streams.disk.database import StateDamaged, Storage
from streams.shard import SOURCES, Shard
from streams.snapshots import PAGES, SnapshotWriter, is_page, segment_of

LOGGER = logging.getLogger(__name__)

SLACKS_MS = (5_000, 60_000)
"""How far the clocks of brokers and workers are believed to differ, at first and then; the ledger's own numbers tell
whether it was enough. If not it is read from its beginning."""


@dataclass
class Base:
    """From which ledger record on each part of the state has to be brought forward, and what is known before that."""

    head: ShardHead | None = None
    page_from: dict[int, int] = field(default_factory=dict)
    remembered_from: int = 0
    """Operations and receipts of ledger records below this number are remembered: of both, because their segments are
    written together."""

    saved_from: int = 0
    """… and below this number they are in segments of the snapshot topic."""

    needed_from: int = 0
    """The first ledger record that has to be read."""

    appended_ms: int = 0
    """No ledger record that is needed was appended before this time, as far as clocks can be believed."""


class RestoredShard:
    """A shard with what belongs to it on the disk and in the snapshot topic."""

    def __init__(self, number: int, shards: int, book: BookOnDisk) -> None:
        self.book = book
        self.shard = Shard(number, shards, book)
        self.snapshots = SnapshotWriter(self.shard, book)

    def write_if_due(self, now_ms: int) -> None:
        """Write the disk, behind the Kafka commit alone. Raises StateRefused where it is full."""
        if self.snapshots.checkpoint_due:
            self.book.write(self.snapshots.checkpoint(now_ms))
            self.snapshots.checkpoint_due = False


def restore(number: int, shards: int, log: ShardLog, storage: Storage) -> RestoredShard:
    """The shard as its log says. Raises InvariantViolation on a gap or a broken chain, UndecodableRecord, StateRefused,
    and ValueError where retention has removed what is needed.
    """
    reason = ""
    try:
        with _opened(storage, number, shards) as book:
            if book.checkpoint is not None:
                return _Warm(RestoredShard(number, shards, book), log, book.checkpoint).run()
            if not book.refused:
                return _Cold(RestoredShard(number, shards, book), log).run()
            reason = book.refused
            book.close()
    except (CheckpointStale, StateDamaged) as stale:
        reason = str(stale)
    LOGGER.warning(f"shard {number}: the state on disk is discarded and restored from Kafka: {reason}")
    storage.wipe(number)
    with _opened(storage, number, shards) as book:
        return _Cold(RestoredShard(number, shards, book), log).run()


@contextmanager
def _opened(storage: Storage, number: int, shards: int) -> Iterator[BookOnDisk]:
    """Closed again where the restore fails: the folder must be free for the next one."""
    book = BookOnDisk(storage, number, shards)
    try:
        yield book
    except BaseException:
        book.close()
        raise


class _Restoration:
    """What both ways share: the ledger's tail, from the first record that is needed."""

    def __init__(self, restored: RestoredShard, log: ShardLog) -> None:
        self.restored = restored
        self.shard = restored.shard
        self.book = restored.book
        self.log = log
        self.base = Base()
        self.newest_page = 0
        """Entries of ledger records from this number on count towards the next page."""
        self._last_appended_ms = 0

    def bring_forward(self) -> RestoredShard:
        """Replay the tail over the base and write the checkpoint."""
        for message, record in self._tail():
            self._replay(record, _value(message))
            self._last_appended_ms = message.timestamp()[1]
            self.book.write_part_if_large()
        self._require_head()
        self.book.take_up_rules()
        saved_from = min(self.base.saved_from, self.shard.sequence)
        appended_ms = (
            self.base.appended_ms if self.book.has_unsaved else self._last_appended_ms or self.base.appended_ms
        )
        self.book.write(self.restored.snapshots.checkpoint(appended_ms, saved_from))
        return self.restored

    def _tail(self) -> Iterator[tuple[Message, PackedLedgerRecord]]:
        """The ledger from the first record that is needed; from its beginning where record times can't be trusted."""
        base = self.base
        for start in self._starts():
            records = self._from(start)
            first = next(records, None)
            if first is not None and first[1].header.sequence <= base.needed_from:
                yield first
                yield from records
                return
        if base.needed_from < (base.head.sequence if base.head else 0):
            raise InvariantViolation(
                f"ledger of shard {self.shard.number}: record {base.needed_from} is needed and no longer there"
            )

    def _starts(self) -> Iterator[int]:
        if self.base.needed_from:
            for slack_ms in SLACKS_MS:
                yield self.log.offset_at(topics.LEDGER.name, max(0, self.base.appended_ms - slack_ms))
        yield 0

    def _from(self, offset: int) -> Iterator[tuple[Message, PackedLedgerRecord]]:
        for message in self.log.read(topics.LEDGER.name, offset):
            yield message, decode_ledger_record(_value(message))

    def _replay(self, record: PackedLedgerRecord, value: bytes) -> None:
        header, shard, head = record.header, self.shard, self.base.head
        if shard.sequence and header.sequence != shard.sequence:
            raise InvariantViolation(
                f"ledger of shard {shard.number}: {shard.sequence} is followed by {header.sequence}"
            )
        expected_hash = head.previous_hash if head and header.sequence == head.sequence else shard.previous_hash
        if header.previous_hash != expected_hash and (shard.sequence or header.sequence == 0):
            raise InvariantViolation(f"ledger of shard {shard.number}: hash chain broken at record {header.sequence}")
        if header.sequence >= self.base.needed_from:
            for entry in record.entries():
                self._apply(entry, header.sequence)
        if header.sequence >= self.newest_page:
            shard.entries += record.entry_count
        if head is None or header.sequence >= head.sequence:
            shard.append(header, value)
        else:  # lanes and offsets are the head's already
            shard.sequence, shard.previous_hash = header.sequence + 1, record_hash(value)

    def _apply(self, entry: Entry, sequence: int) -> None:
        shard, base = self.shard, self.base
        shard.time_us = max(shard.time_us, entry.decided_at_us)
        if sequence >= base.remembered_from:
            self._remember(entry)
        elif sequence >= base.saved_from:
            self._keep_unsaved(entry)
        account_id = changed_account(entry)
        if account_id is not None and sequence >= base.page_from.get(page_of(account_id), 0):
            evolve_account(self.book, account_id, entry)

    def _remember(self, entry: Entry) -> None:
        if is_remembered(entry):
            evolve_operations(self.book, entry)
        if is_receipt(entry):
            evolve_receipts(self.book, entry)

    def _keep_unsaved(self, entry: Entry) -> None:
        """The disk has remembered it already, and no segment has."""
        if is_remembered(entry):
            self.book.operations.keep_unsaved(entry.operation_id)
        if is_receipt(entry):
            self.book.receipts.keep_unsaved(receipt_id(entry))

    def _require_head(self) -> None:
        """The ledger must reach at least as far as the snapshots or the disk do, and be the one that they speak of."""
        head, shard = self.base.head, self.shard
        if head is None:
            return
        if shard.sequence == 0:  # nothing had to be read
            shard.sequence, shard.previous_hash = head.sequence, head.previous_hash
        if shard.sequence < head.sequence:
            raise InvariantViolation(
                f"ledger of shard {shard.number} ends at record {shard.sequence}, its snapshot knows of {head.sequence}"
            )
        if shard.sequence == head.sequence and shard.previous_hash != head.previous_hash:
            raise InvariantViolation(f"ledger of shard {shard.number}: record {head.sequence - 1} is another one")

    def take_head(self, counters: list[Counter], next_offsets: Mapping[str, int]) -> None:
        """Lanes and input offsets as they stood at the head."""
        for lane, peer, following in counters:
            self.shard.lanes[lane][peer] = following
        self.shard.next_offsets = {SOURCES[topic]: offset for topic, offset in next_offsets.items()}

    def snapshots_from(self, offset: int) -> Iterator[tuple[bytes, bytes | None]]:
        """Key and value of the shard's snapshot records."""
        for message in self.log.read(topics.SNAPSHOTS.name, offset):
            key: bytes | None = message.key()
            if key is None:
                raise UndecodableRecord("a snapshot without key")
            yield key, message.value()


class _Cold(_Restoration):
    """From the snapshots: pages by way of memory (38 bytes an account, 40 to 80 an item), segments straight to disk."""

    def run(self) -> RestoredShard:
        pages = self._load_segments()
        self._load_pages(pages)
        base = self.base
        if base.head is not None:
            self.take_head(base.head.counters, base.head.next_offsets)
        base.saved_from = base.remembered_from
        base.needed_from = min(self._pages_from(), base.remembered_from)
        return self.bring_forward()

    def _load_segments(self) -> dict[bytes, bytes]:
        """Returns the newest value of every page and part; sets the head."""
        pages: dict[bytes, bytes] = {}
        taken_at_us = 0
        for key, value in self.snapshots_from(0):
            if value is None:
                continue
            if is_page(key):
                pages[key] = value
                continue
            snapshot = decode_snapshot(value)
            if isinstance(snapshot, ShardHead):
                self.base.head = snapshot
            elif isinstance(snapshot, OperationsSegment):
                self._load_segment(key, snapshot)
                taken_at_us = snapshot.taken_at_us
        self.base.appended_ms = taken_at_us // 1_000
        return pages

    def _load_segment(self, key: bytes, segment: OperationsSegment) -> None:
        kind, first = segment_of(key)
        self.book.remembered[kind].load(first, segment.hour, segment.operations)
        self.base.remembered_from = max(self.base.remembered_from, segment.sequence)
        self.book.write_part_if_large()

    def _load_pages(self, pages: dict[bytes, bytes]) -> None:
        base, shard = self.base, self.shard
        for key in sorted(pages):  # the first record of a page stands before its other parts
            page = decode_snapshot(pages[key])
            if not isinstance(page, AccountsPage):
                raise UndecodableRecord("a page that holds something else")
            if base.page_from.setdefault(page.page, page.sequence) != page.sequence:
                continue  # a part of an earlier turn, when the page was larger
            base.appended_ms = min(base.appended_ms, page.taken_at_us // 1_000)
            shard.time_us = max(shard.time_us, page.taken_at_us)
            for account_id, account in page.accounts:
                self.book.accounts[account_id] = account
            for item in page.items:
                self.book.items.put(item)
            self.book.write_part_if_large()
        self.newest_page = max(base.page_from.values(), default=0)
        ages = [base.page_from.get(page, -1) for page in range(PAGES)]
        self.restored.snapshots.next_page = ages.index(min(ages))

    def _pages_from(self) -> int:
        """Every ledger record from this number on is needed for some page."""
        return min(self.base.page_from.values()) if len(self.base.page_from) == PAGES else 0


class _Warm(_Restoration):
    """From the disk. What others have written of the snapshots since is only looked at, to go on behind it."""

    def __init__(self, restored: RestoredShard, log: ShardLog, checkpoint: Checkpoint) -> None:
        super().__init__(restored, log)
        self._checkpoint = checkpoint

    def run(self) -> RestoredShard:
        """Raises CheckpointStale."""
        try:
            self._take_checkpoint()
            self._look_at_snapshots()
            return self.bring_forward()
        except (InvariantViolation, UndecodableRecord, ValueError, KeyError) as contradiction:
            raise CheckpointStale(f"it is not a state of this ledger: {contradiction}") from contradiction

    def _take_checkpoint(self) -> None:
        checkpoint, shard = self._checkpoint, self.shard
        shard.time_us = checkpoint.time_us
        shard.entries = checkpoint.entries
        self.newest_page = checkpoint.sequence
        self.restored.snapshots.next_page = checkpoint.next_page
        counters, offsets = checkpoint.counters(), checkpoint.next_offsets
        self.take_head(counters, offsets)
        at = checkpoint.sequence
        if at:
            self.base.head = ShardHead(
                shard.number, at, checkpoint.previous_hash, checkpoint.time_us, counters, offsets
            )
        self.base.page_from = dict.fromkeys(range(PAGES), at)
        self.base.remembered_from = at
        self.base.saved_from = checkpoint.saved_from
        self.base.appended_ms = checkpoint.appended_ms

    def _look_at_snapshots(self) -> None:
        """Segments that another worker, or this one in its last cycle, has written behind the checkpoint."""
        base = self.base
        since_ms = max(0, base.appended_ms - SLACKS_MS[0])
        for key, value in self.snapshots_from(self.log.offset_at(topics.SNAPSHOTS.name, since_ms)):
            snapshot = None if value is None else decode_snapshot(value)
            if isinstance(snapshot, OperationsSegment):
                base.saved_from = max(base.saved_from, snapshot.sequence)
                kind, first = segment_of(key)
                self.book.remembered[kind].segments.add(first, snapshot.hour)
            elif isinstance(snapshot, AccountsPage) and snapshot.sequence >= self._checkpoint.sequence:
                self.restored.snapshots.next_page = (snapshot.page + 1) % PAGES
        base.needed_from = max(0, min(self._checkpoint.sequence - 1, base.saved_from))


def _value(message: Message) -> bytes:
    value: bytes | None = message.value()
    if value is None:
        raise UndecodableRecord("a ledger record without a value")
    return value
