"""Keeps the restore of a shard short: writes a little of its state along with the ledger, inside the same transaction.

Writes ledger.snapshots. Accounts are divided into pages that are rewritten in turn, so no cycle carries a whole
snapshot; remembered operations are written once, in segments. A restore reads the pages and only the ledger since the
oldest of them: at most one turn of all pages, PAGES × ENTRIES_PER_PAGE = 128,000 entries, about 0.5 s.
"""

from collections.abc import Sequence

from payments.accounts import Account
from payments.book import IDEMPOTENCY_WINDOW_HOURS
from runtime.exactly_once.contract import Produce
from schemas import topics
from schemas.codec.ledger import Counter, Lane
from schemas.codec.snapshots import (
    AccountsPage,
    OperationsSegment,
    ShardHead,
    encode_head,
    encode_page,
    encode_segment,
)
from streams.shard import PAGES, SOURCES, Shard

ENTRIES_PER_PAGE = 500
"""One page is written per so many entries: 1,000 accounts × 0.5 µs / 500 entries = 1 µs an entry, for a million."""

PAGES_PER_STEP = 16
SEGMENT_OPERATIONS = 4_096
"""Operations in one segment: 4,096 × 24 bytes = 98 kB."""

_HEAD_KEY = b"head"


class SnapshotWriter:
    """Writes the next pages and segments of one shard when enough has changed."""

    def __init__(
        self,
        shard: Shard,
        kept_operations: int = 0,
        slots: dict[int, int] | None = None,
        page_ages: Sequence[int] = (-1,) * PAGES,
    ) -> None:
        self._shard = shard
        self._entries_done = 0
        self._next_page = min(range(PAGES), key=page_ages.__getitem__)
        """The oldest first: a worker that restarts often would else write the first pages again and again, and the
        restore would have to read the ledger from its beginning."""
        self._kept_operations = kept_operations
        """How many operations the written segments hold, counted from the first ever remembered by this process."""
        self._slots = slots or {}
        """Slot (record key) → hour of the segment in it; slots of forgotten hours are used again."""

    def step(self, produce: Produce) -> None:
        """Write what is due. Call between two ledger records, so that everything written is exact at one sequence."""
        pages = min((self._shard.entries - self._entries_done) // ENTRIES_PER_PAGE, PAGES_PER_STEP)
        pending = self._shard.book.operations.remembered - self._kept_operations
        if not pages and pending < SEGMENT_OPERATIONS:
            return
        for _ in range(pages):
            self._write_page(produce)
        if pending >= SEGMENT_OPERATIONS:
            self._write_segments(produce, pending)
        self._write_head(produce)

    def _write_page(self, produce: Produce) -> None:
        shard, page = self._shard, self._next_page
        self._next_page = (page + 1) % PAGES
        self._entries_done += ENTRIES_PER_PAGE
        value = encode_page(AccountsPage(shard.number, page, shard.sequence, shard.time_us, self._accounts(page)))
        self._put(produce, b"page-%d" % page, value)

    def _accounts(self, page: int) -> list[tuple[bytes, Account]]:
        accounts = self._shard.book.accounts
        return [(account_id, accounts[account_id]) for account_id in self._shard.pages[page]]

    def _write_segments(self, produce: Produce, pending: int) -> None:
        shard = self._shard
        for hour, operations in shard.book.operations.newest(pending):
            for at in range(0, len(operations), SEGMENT_OPERATIONS):
                slot = self._free_slot(hour)
                part = operations[at : at + SEGMENT_OPERATIONS]
                segment = OperationsSegment(shard.number, hour, slot, shard.sequence, shard.time_us, part)
                self._put(produce, b"operations-%d" % slot, encode_segment(segment))
        self._kept_operations += pending

    def _free_slot(self, hour: int) -> int:
        forgotten = (slot for slot, kept in self._slots.items() if kept < hour - IDEMPOTENCY_WINDOW_HOURS)
        slot = next(forgotten, len(self._slots))
        self._slots[slot] = hour
        return slot

    def _write_head(self, produce: Produce) -> None:
        shard = self._shard
        counters = [Counter(lane, peer, following) for lane in Lane for peer, following in shard.lanes[lane].items()]
        offsets = {
            topic: shard.next_offsets[source] for topic, source in SOURCES.items() if source in shard.next_offsets
        }
        head = ShardHead(shard.number, shard.sequence, shard.previous_hash, shard.time_us, counters, offsets)
        self._put(produce, _HEAD_KEY, encode_head(head))

    def _put(self, produce: Produce, key: bytes, value: bytes) -> None:
        produce(topics.SNAPSHOTS.name, value, key=key, partition=self._shard.number)
