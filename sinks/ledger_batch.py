"""Ledger records on their way into one transaction: checked one by one, their entries kept packed.

Reads record values of ledger.entries. Guarantees that a batch continues each shard's ledger without gap and with an
unbroken hash chain; InvariantViolation stops the sink otherwise.
"""

from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.errors import InvariantViolation, UndecodableRecord
from payments.identifiers import NIL
from schemas.codec.fields import REASONS
from schemas.codec.ledger import ENTRY_FIELDS, PackedLedgerRecord, decode_ledger_record, record_hash
from sinks.copy_rows import Column
from sinks.progress import LaneKey, ShardProgress

ENTRY_DTYPE: Final = np.dtype(list(ENTRY_FIELDS))
_SYSTEM_BELOW = 0x10  # version nibble 0 in byte 6
_NIL = np.frombuffer(NIL, "V16")[0]


class LedgerPlace(NamedTuple):
    """Where the entries of one record come from."""

    shard: int
    sequence: int
    offset: int
    source: int


class DetailedEntry(NamedTuple):
    """An entry with details, where it stands in the batch, and where in the ledger."""

    at: int
    place: LedgerPlace
    entry_index: int
    """Inside its record."""
    entry: Entry


class LedgerBatch:
    """Consecutive records of one or more shards. `before` and `after` hold the shards that it touches."""

    def __init__(self, progress: dict[int, ShardProgress]) -> None:
        self._progress = progress
        self._packed: list[memoryview] = []
        self._counts: list[int] = []
        self._places: list[LedgerPlace] = []
        self.before: dict[int, ShardProgress] = {}
        self.after: dict[int, ShardProgress] = {}
        self.lanes: dict[LaneKey, int] = {}
        self.descriptions: dict[int, str] = {}
        """By index of the entry in the batch."""
        self.detailed: list[DetailedEntry] = []
        """In ledger order."""
        self.entry_count = 0

    def __len__(self) -> int:
        return len(self._places)

    def add(self, shard: int, offset: int, value: bytes) -> None:
        """Append a record. Raises InvariantViolation; the batch is then of no use."""
        reached = self.after.get(shard) or self._progress[shard]
        if offset < reached.ledger_next_offset:
            return  # delivered again by the client after a new start: applied already
        try:
            record = decode_ledger_record(value)
            detailed = list(record.detailed())
        except UndecodableRecord as error:
            raise InvariantViolation(f"ledger.entries[{shard}] offset {offset}: {error}") from error
        self.after[shard] = reached.after(record.header, offset, record_hash(value))
        self.before.setdefault(shard, reached)
        self._keep(offset, record, detailed)

    def _keep(self, offset: int, record: PackedLedgerRecord, detailed: list[tuple[int, Entry]]) -> None:
        header = record.header
        place = LedgerPlace(header.shard, header.sequence, offset, header.source)
        self._packed.append(record.packed)
        self._counts.append(record.entry_count)
        self._places.append(place)
        self.detailed += [DetailedEntry(self.entry_count + index, place, index, entry) for index, entry in detailed]
        for lane, peer, following in header.counters:
            self._advance_lane((header.shard, lane, peer), following)
        for index, text in record.descriptions.items():
            self.descriptions[self.entry_count + index] = text
        self.entry_count += record.entry_count

    def _advance_lane(self, lane: LaneKey, following: int) -> None:
        if following < self.lanes.get(lane, following):
            raise InvariantViolation(f"the counter of lane {lane} runs backwards to {following}")
        self.lanes[lane] = following

    @cached_property
    def entries(self) -> Column:
        """Every entry in ledger order, as ENTRY_FIELDS. Raises InvariantViolation on an unknown kind or reason."""
        entries = np.frombuffer(b"".join(self._packed), ENTRY_DTYPE)
        kinds, reasons = entries["kind"], entries["reason"]
        if ((kinds | reasons) & 1).any() or (kinds >= 2 * len(EntryKind)).any() or (reasons >= 2 * len(REASONS)).any():
            raise InvariantViolation(f"an entry of unknown kind or reason in {self._places}")
        return entries

    @cached_property
    def kinds(self) -> NDArray[np.uint8]:
        """EntryKind per entry."""
        return np.asarray(self.entries["kind"] >> 1)

    @cached_property
    def reasons(self) -> NDArray[np.uint8]:
        """Index into REASONS per entry."""
        return np.asarray(self.entries["reason"] >> 1)

    @cached_property
    def decides(self) -> NDArray[np.bool_]:
        """Which entries are the one decision about their operation: payments.book.is_remembered for a column."""
        has_fingerprint = self.entries["fingerprint"] != np.frombuffer(NO_FINGERPRINT, "V8")[0]
        return np.asarray(has_fingerprint & ~self.is_any(EntryKind.REPLAYED, EntryKind.KEY_REUSED))

    @cached_property
    def debit_is_system(self) -> NDArray[np.bool_]:
        return system_accounts(self.entries["debit_account"])

    @cached_property
    def credit_is_system(self) -> NDArray[np.bool_]:
        return system_accounts(self.entries["credit_account"])

    @cached_property
    def debit_is_nil(self) -> NDArray[np.bool_]:
        return np.asarray(self.entries["debit_account"] == _NIL)

    @cached_property
    def credit_is_nil(self) -> NDArray[np.bool_]:
        return np.asarray(self.entries["credit_account"] == _NIL)

    @cached_property
    def places(self) -> dict[str, Column]:
        """shard, sequence, offset and source of each entry's record, and the entry's index inside it."""
        counts = np.array(self._counts)
        columns = dict(zip(LedgerPlace._fields, np.array(self._places, np.int64).T, strict=True))
        spread: dict[str, Column] = {name: np.repeat(column, counts) for name, column in columns.items()}
        starts = np.cumsum(counts) - counts
        spread["index"] = np.arange(self.entry_count) - np.repeat(starts, counts)
        return spread

    def outcome_counts(self) -> list[tuple[int, int, int]]:
        """(shard, kind, entries) of the batch."""
        keys = self.places["shard"] * len(EntryKind) + self.kinds
        found, counts = np.unique(keys, return_counts=True)
        return [
            (int(key) // len(EntryKind), int(key) % len(EntryKind), int(count))
            for key, count in zip(found, counts, strict=True)
        ]

    def texts_of(self, chosen: NDArray[np.bool_]) -> dict[int, str]:
        """Descriptions of the chosen entries, by their place among these."""
        place_of = np.cumsum(chosen) - 1
        return {int(place_of[index]): text for index, text in self.descriptions.items() if chosen[index]}

    def is_any(self, *kinds: EntryKind) -> NDArray[np.bool_]:
        """Which entries are of one of these kinds."""
        return _KIND_SETS[frozenset(kinds)][self.kinds]


class _KindSets(dict[frozenset[EntryKind], NDArray[np.bool_]]):
    """Membership tables by kind: one look-up per entry instead of a comparison per kind."""

    def __missing__(self, kinds: frozenset[EntryKind]) -> NDArray[np.bool_]:
        table = np.zeros(256, bool)
        table[list(kinds)] = True
        self[kinds] = table
        return table


_KIND_SETS = _KindSets()


def system_accounts(accounts: NDArray[Any]) -> NDArray[np.bool_]:
    """payments.identifiers.is_system for a column of ids."""
    octets = np.ascontiguousarray(accounts).view(np.uint8).reshape(-1, 16)
    return octets[:, 6] < _SYSTEM_BELOW
