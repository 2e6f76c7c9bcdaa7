"""Entries of many ledger records as one numpy array, with the place of each: for what is joined or compared in bulk.

A batch is closed at BATCH_ENTRIES, so that memory does not follow the size of the ledger.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.identifiers import NIL
from schemas.codec.ledger import ENTRY_FIELDS, PackedLedgerRecord

BATCH_ENTRIES = 20_000
"""20,000 × 97 bytes = 2 MB; the fixed cost of a numpy call is then below 1 % of the work."""

ENTRY_DTYPE = np.dtype(list(ENTRY_FIELDS))
ABOUT_PAYMENTS = (
    EntryKind.RESERVED,
    EntryKind.POSTED,
    EntryKind.HELD,
    EntryKind.HOLD_RAISED,
    EntryKind.CAPTURED,
    EntryKind.RELEASED,
    EntryKind.POSTED_UNCOLLECTED,
    EntryKind.DEBITED,
)
"""What was decided about payments and holds, where it was decided and not refused."""

Column = NDArray[Any]
Mask = NDArray[np.bool_]
Located = tuple[int, PackedLedgerRecord]
"""Offset of a ledger record and the record."""


class Place(NamedTuple):
    """Where the entries of one record stand."""

    shard: int
    sequence: int
    offset: int
    source: int


class EntryBatch:
    """Consecutive records of one shard."""

    def __init__(self, records: list[Located]) -> None:
        self.entries: Column = np.frombuffer(b"".join(record.packed for _, record in records), ENTRY_DTYPE)
        self.kinds: Column = self.entries["kind"] >> 1
        self._counts = np.array([record.entry_count for _, record in records], np.int64)
        self._places = [
            Place(record.header.shard, record.header.sequence, offset, record.header.source)
            for offset, record in records
        ]
        self._records = records

    def is_any(self, *kinds: EntryKind) -> Mask:
        """Which entries are of one of these kinds."""
        return np.isin(self.kinds, [int(kind) for kind in kinds])

    @cached_property
    def decides(self) -> Mask:
        """Which entries are the one decision about their operation: those that carry its fingerprint, once."""
        has_fingerprint = self.entries["fingerprint"] != np.frombuffer(NO_FINGERPRINT, "V8")[0]
        return np.asarray(has_fingerprint & ~self.is_any(EntryKind.REPLAYED, EntryKind.KEY_REUSED))

    @cached_property
    def decides_payment(self) -> Mask:
        """Which decisions are about a payment or a hold; the others are about one account."""
        rejections = self.is_any(EntryKind.REJECTED) & ~self.credit_is_nil
        return np.asarray(self.decides & (self.is_any(*ABOUT_PAYMENTS) | rejections))

    @cached_property
    def has_details(self) -> Mask:
        found = np.zeros(len(self.entries), bool)
        found[[at for at, _, _ in self.detailed()]] = True
        return found

    @cached_property
    def debit_is_system(self) -> Mask:
        octets = np.ascontiguousarray(self.entries["debit_account"]).view(np.uint8).reshape(-1, 16)
        return np.asarray(octets[:, 6] < 0x10)

    @cached_property
    def credit_is_nil(self) -> Mask:
        return np.asarray(self.entries["credit_account"] == np.frombuffer(NIL, "V16")[0])

    @cached_property
    def places(self) -> dict[str, Column]:
        """shard, sequence, offset and source of each entry's record, and the entry's index inside it."""
        columns = np.array(self._places, np.int64).reshape(-1, len(Place._fields)).T
        spread: dict[str, Column] = {
            name: np.repeat(column, self._counts) for name, column in zip(Place._fields, columns, strict=True)
        }
        starts = np.cumsum(self._counts) - self._counts
        spread["index"] = np.arange(len(self.entries)) - np.repeat(starts, self._counts)
        return spread

    def detailed(self) -> Iterator[tuple[int, tuple[int, int, int, int], Entry]]:
        """Index in the batch, place (shard, sequence, offset, entry) and entry of those with details, in order."""
        start = 0
        for place, (_, record) in zip(self._places, self._records, strict=True):
            for index, entry in record.detailed():
                yield start + index, (place.shard, place.sequence, place.offset, index), entry
            start += record.entry_count

    def descriptions(self) -> Iterator[tuple[int, str]]:
        """Index in the batch and text of each description, in order."""
        start = 0
        for _, record in self._records:
            for index, text in sorted(record.descriptions.items()):
                yield start + index, text
            start += record.entry_count


def batches(records: Iterable[Located]) -> Iterator[EntryBatch]:
    """Records gathered into batches, each read once."""
    waiting: list[Located] = []
    entries = 0
    for located in records:
        waiting.append(located)
        entries += located[1].entry_count
        if entries >= BATCH_ENTRIES:
            yield EntryBatch(waiting)
            waiting, entries = [], 0
    if waiting:
        yield EntryBatch(waiting)
