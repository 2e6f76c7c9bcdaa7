"""LedgerRecord: the ledger, the changelog of the state, and a link of the hash chain, in one packed record.

`ENTRY_FIELDS` describes the fixed-width entry once: for struct (agents) and for numpy (sinks, audit), which read whole
arrays of entries without touching one in Python.
"""

import hashlib
import itertools
from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from payments.entries import Entry
from payments.errors import UndecodableRecord
from payments.items.details import Detail
from schemas import wire
from schemas.codec.fields import REASON_BYTE, currency_bytes, currency_code, entry_kind_of, reason_of
from schemas.codec.named import encode_details, read_details
from schemas.registry import ids_of, latest

ENTRY: Final = Struct(">BB16s16s16sq3sqq8sqi")
ENTRY_FIELDS: Final = (
    ("kind", "u1"),
    ("reason", "u1"),
    ("operation_id", "V16"),
    ("debit_account", "V16"),
    ("credit_account", "V16"),
    ("amount_minor", ">i8"),
    ("currency", "V3"),
    ("available_after_minor", ">i8"),
    ("decided_at_us", ">i8"),
    ("fingerprint", "V8"),
    ("source_offset", ">i8"),
    ("source_item", ">i4"),
)
"""Layout of one packed entry for `numpy.dtype(list(ENTRY_FIELDS))`; `kind` and `reason` hold twice the enum's index."""

GENESIS_HASH: Final = bytes(32)
_SCHEMA = latest("LedgerRecord").schema_id
_READABLE = ids_of("LedgerRecord")
_WITHOUT_DETAILS = min(_READABLE)
"""Version 1, which ended with the descriptions."""

_NO_DETAILS = b"\0"
_FRAME = wire.frame(_SCHEMA)


class SourceTopic(IntEnum):
    """Which input a ledger record decided. The value is the wire value: append only."""

    COMMANDS = 0
    CREDITS = 1
    RETURNS = 2
    CONNECTOR_RESULTS = 3


class Lane(IntEnum):
    """Kinds of lanes between two shards, as counted at one end. The value is the wire value: append only."""

    CREDITS_SENT = 0
    RETURNS_SENT = 1
    CREDITS_RECEIVED = 2
    RETURNS_RECEIVED = 3


class Counter(NamedTuple):
    """The next sequence number on a lane to or from another shard."""

    lane: Lane
    shard: int
    next: int


class LedgerHeader(NamedTuple):
    """Everything about a ledger record but its entries."""

    shard: int
    sequence: int
    previous_hash: bytes
    source: SourceTopic
    first_offset: int
    next_offset: int
    counters: tuple[Counter, ...]


class PackedLedgerRecord(NamedTuple):
    """A decoded header with the entries still packed."""

    header: LedgerHeader
    entry_count: int
    packed: memoryview
    descriptions: dict[int, str]
    details: dict[int, tuple[Detail, ...]]
    """By index of the entry; entries without details are left out."""

    def entries(self) -> Iterator[Entry]:
        """The entries, one object each. Raises UndecodableRecord on an unknown kind or reason."""
        plain = map(_entry, ENTRY.iter_unpack(self.packed))
        return map(self._detailed, itertools.count(), plain) if self.details else plain

    def detailed(self) -> Iterator[tuple[int, Entry]]:
        """Index and entry of those that have details, in order. Raises UndecodableRecord as `entries` does."""
        for index in sorted(self.details):
            yield index, self._detailed(index, _entry(ENTRY.unpack_from(self.packed, index * ENTRY.size)))

    def _detailed(self, index: int, entry: Entry) -> Entry:
        details = self.details.get(index)
        return entry if details is None else entry._replace(details=details)


def encode_ledger_record(header: LedgerHeader, entries: list[Entry], descriptions: dict[int, str]) -> bytes:
    """A whole record value."""
    pack = ENTRY.pack
    packed = [
        pack(kind << 1, REASON_BYTE[reason], id_, debit, credit, amount, currency_bytes(currency), *rest)
        for kind, reason, id_, debit, credit, amount, currency, *rest, _ in entries
    ]
    details = [(index, detail) for index, entry in enumerate(entries) for detail in entry.details]
    return b"".join(
        (
            _FRAME,
            wire.write_long(header.shard),
            wire.write_long(header.sequence),
            header.previous_hash,
            wire.write_long(header.source),
            wire.write_long(header.first_offset),
            wire.write_long(header.next_offset),
            wire.write_array([b"".join(map(wire.write_long, counter)) for counter in header.counters]),
            wire.write_array(packed),
            wire.write_array(
                [wire.write_long(index) + wire.write_bytes(text.encode()) for index, text in descriptions.items()]
            ),
            encode_details(_SCHEMA, "entry", details) if details else _NO_DETAILS,
        )
    )


def decode_ledger_record(value: bytes) -> PackedLedgerRecord:
    """Header, packed entries and what goes with them. Raises UndecodableRecord: a bug or tampering."""
    schema_id = wire.schema_id_of(value)
    if schema_id not in _READABLE:
        raise UndecodableRecord(f"expected schema id {_SCHEMA}")
    buffer = memoryview(value)
    header, at = _read_header(buffer, wire.FRAME_BYTES)
    packed, count, at = wire.read_fixed_array(buffer, at, ENTRY)
    described, at = wire.read_count(buffer, at)
    descriptions: dict[int, str] = {}
    for _ in range(described):
        index, at = wire.read_long(buffer, at)
        descriptions[index], at = wire.read_text(buffer, at)
    at = wire.read_array_end(buffer, at, described)
    details: dict[int, tuple[Detail, ...]] = {}
    if schema_id != _WITHOUT_DETAILS:
        details, at = read_details(buffer, at, schema_id, "entry", count)
    wire.require_end(buffer, at)
    return PackedLedgerRecord(header, count, packed, descriptions, details)


def record_hash(value: bytes) -> bytes:
    """The link that the next record of the partition carries as `previous_hash`."""
    return hashlib.sha256(value).digest()


def _read_header(buffer: memoryview, at: int) -> tuple[LedgerHeader, int]:
    shard, at = wire.read_long(buffer, at)
    sequence, at = wire.read_long(buffer, at)
    previous_hash, at = bytes(buffer[at : at + 32]), at + 32
    source, at = wire.read_long(buffer, at)
    first_offset, at = wire.read_long(buffer, at)
    next_offset, at = wire.read_long(buffer, at)
    counters, at = read_counters(buffer, at)
    if not 0 <= source < len(SourceTopic):
        raise UndecodableRecord("an unknown source topic")
    return LedgerHeader(shard, sequence, previous_hash, SourceTopic(source), first_offset, next_offset, counters), at


def read_counters(buffer: memoryview, at: int) -> tuple[tuple[Counter, ...], int]:
    """An array of counters and the place behind it. Raises UndecodableRecord."""
    count, at = wire.read_count(buffer, at)
    counters = []
    for _ in range(count):
        lane, at = wire.read_long(buffer, at)
        shard, at = wire.read_long(buffer, at)
        following, at = wire.read_long(buffer, at)
        if not 0 <= lane < len(Lane):
            raise UndecodableRecord("an unknown lane")
        counters.append(Counter(Lane(lane), shard, following))
    return tuple(counters), wire.read_array_end(buffer, at, count)


def _entry(fields: tuple[int, int, bytes, bytes, bytes, int, bytes, int, int, bytes, int, int]) -> Entry:
    kind, reason, id_, debit, credit, amount, currency, available, time_us, fingerprint, offset, item = fields
    return Entry(
        entry_kind_of(kind),
        reason_of(reason),
        id_,
        debit,
        credit,
        amount,
        currency_code(currency),
        available,
        time_us,
        fingerprint,
        offset,
        item,
    )
