"""Rebuilds a shard from its snapshots and the ledger since the oldest of them.

Reads ledger.snapshots and ledger.entries. Guarantees: the ledger read has no gap and its hash chain holds, or the shard
is refused; the state is the one that folding the whole ledger gives.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from payments.book import changed_account, evolve_account, evolve_operations, is_remembered
from payments.entries import Entry, EntryKind
from payments.errors import InvariantViolation
from runtime.exactly_once.contract import ShardLog
from schemas import topics
from schemas.codec.ledger import PackedLedgerRecord, decode_ledger_record, record_hash
from schemas.codec.snapshots import AccountsPage, OperationsSegment, ShardHead, decode_snapshot
from streams.shard import PAGES, SOURCES, Shard, page_of

CLOCK_SLACK_MS = 60_000
"""Record times come from the leaders' clocks; if they differ by more, the ledger is read from its beginning."""


@dataclass
class Snapshots:
    """The newest snapshot under every key."""

    pages: dict[int, AccountsPage] = field(default_factory=dict)
    segments: dict[int, OperationsSegment] = field(default_factory=dict)
    head: ShardHead | None = None

    @property
    def pages_from(self) -> int:
        """Every ledger record from this number on is needed for some page."""
        return min(page.sequence for page in self.pages.values()) if len(self.pages) == PAGES else 0

    @property
    def operations_from(self) -> int:
        """Operations of ledger records below this number are in the segments."""
        return max((segment.sequence for segment in self.segments.values()), default=0)

    @property
    def oldest_time_ms(self) -> int:
        """No ledger record that is needed was appended before this broker time."""
        times = [page.taken_at_us for page in self.pages.values()]
        newest_segment = max(self.segments.values(), key=lambda segment: segment.sequence, default=None)
        oldest_us = min([*times, newest_segment.taken_at_us if newest_segment else 0])
        return max(0, oldest_us // 1_000 - CLOCK_SLACK_MS)


def read_snapshots(log: ShardLog) -> Snapshots:
    """The shard's snapshots, the last of each key."""
    found = Snapshots()
    for message in log.read(topics.SNAPSHOTS.name):
        snapshot = decode_snapshot(_value(message))
        match snapshot:
            case AccountsPage():
                found.pages[snapshot.page] = snapshot
            case OperationsSegment():
                found.segments[snapshot.segment] = snapshot
            case ShardHead():
                found.head = snapshot
    return found


class Restoration:
    """One shard being rebuilt."""

    def __init__(self, number: int, shards: int, log: ShardLog) -> None:
        self.shard = Shard(number, shards)
        self._log = log
        self._snapshots = read_snapshots(log)
        self._page_from = {page.page: page.sequence for page in self._snapshots.pages.values()}
        self._operations_from = self._snapshots.operations_from
        self._newest_page = max(self._page_from.values(), default=0)
        self.slots = {segment.segment: segment.hour for segment in self._snapshots.segments.values()}
        self.page_ages = [self._page_from.get(page, -1) for page in range(PAGES)]
        """Ledger record from which each page's snapshot goes on; -1 for a page without one."""
        self.kept_operations = 0
        """Operations that came from segments; the rest came from the ledger and wait for the next segment."""

    def run(self) -> Shard:
        """The shard as its log says. Raises InvariantViolation on a gap or a broken chain, UndecodableRecord."""
        self._load_pages()
        self._load_operations()
        self._load_head()
        for record, value in self._tail():
            self._replay(record, value)
        self._require_head()
        return self.shard

    def _require_head(self) -> None:
        """The ledger must reach at least as far as the snapshots do."""
        head, shard = self._snapshots.head, self.shard
        if head is None:
            return
        if shard.sequence == 0:  # nothing had to be read
            shard.sequence, shard.previous_hash = head.sequence, head.previous_hash
        if shard.sequence < head.sequence:
            raise InvariantViolation(
                f"ledger of shard {shard.number} ends at record {shard.sequence}, its snapshot knows of {head.sequence}"
            )

    def _load_pages(self) -> None:
        for page in self._snapshots.pages.values():
            self.shard.book.accounts.update(page.accounts)
            self.shard.pages[page.page] = [account_id for account_id, _ in page.accounts]
            self.shard.time_us = max(self.shard.time_us, page.taken_at_us)

    def _load_operations(self) -> None:
        """Hour by hour: `remember` forgets as it did when they were decided. The time of other entries says nothing
        about it, or a restored shard would have forgotten a key that the one it replaces still knew.
        """
        operations = self.shard.book.operations
        for segment in sorted(self._snapshots.segments.values(), key=lambda s: (s.hour, s.sequence)):
            for operation_id, fingerprint in segment.operations:
                operations.remember(operation_id, fingerprint, segment.hour)
        self.kept_operations = operations.remembered

    def _load_head(self) -> None:
        head = self._snapshots.head
        if head is None:
            return
        for lane, peer, following in head.counters:
            self.shard.lanes[lane][peer] = following
        self.shard.next_offsets = {SOURCES[topic]: offset for topic, offset in head.next_offsets.items()}

    def _tail(self) -> Iterator[tuple[PackedLedgerRecord, bytes]]:
        """The ledger from the first record that is needed; from its beginning where record times can't be trusted."""
        needed_from = min(self._snapshots.pages_from, self._operations_from)
        start = self._log.offset_at(topics.LEDGER.name, self._snapshots.oldest_time_ms) if needed_from else 0
        for offset in dict.fromkeys((start, 0)):
            records = self._from(offset)
            first = next(records, None)
            if first is None:
                continue
            if first[0].header.sequence <= needed_from:
                yield first
                yield from records
                return
        if needed_from < (self._snapshots.head.sequence if self._snapshots.head else 0):
            raise InvariantViolation(
                f"ledger of shard {self.shard.number}: record {needed_from} is needed and no longer there"
            )

    def _from(self, offset: int) -> Iterator[tuple[PackedLedgerRecord, bytes]]:
        for message in self._log.read(topics.LEDGER.name, offset):
            value = _value(message)
            yield decode_ledger_record(value), value

    def _replay(self, record: PackedLedgerRecord, value: bytes) -> None:
        header, shard = record.header, self.shard
        head = self._snapshots.head
        if shard.sequence and header.sequence != shard.sequence:
            raise InvariantViolation(
                f"ledger of shard {shard.number}: {shard.sequence} is followed by {header.sequence}"
            )
        expected_hash = head.previous_hash if head and header.sequence == head.sequence else shard.previous_hash
        if header.previous_hash != expected_hash and (shard.sequence or header.sequence == 0):
            raise InvariantViolation(f"ledger of shard {shard.number}: hash chain broken at record {header.sequence}")
        for entry in record.entries():
            self._apply(entry, header.sequence)
        if header.sequence >= self._newest_page:
            shard.entries += record.entry_count
        if head is None or header.sequence >= head.sequence:
            shard.append(header, value)
        else:  # lanes and offsets are the head's already
            shard.sequence, shard.previous_hash = header.sequence + 1, record_hash(value)

    def _apply(self, entry: Entry, sequence: int) -> None:
        shard = self.shard
        shard.time_us = max(shard.time_us, entry.decided_at_us)
        if sequence >= self._operations_from and is_remembered(entry):
            evolve_operations(shard.book, entry)
        account_id = changed_account(entry)
        if account_id is None or sequence < self._page_from.get(page_of(account_id), 0):
            return
        evolve_account(shard.book, account_id, entry)
        if entry.kind is EntryKind.ACCOUNT_OPENED:
            shard.pages[page_of(account_id)].append(account_id)


def _value(message: Any) -> bytes:
    value: bytes = message.value()
    return value
