"""What a ledger record does to balances of customers, as far as the fixed fields of its entries tell it.

Plain payments and deposits are told by them. Whatever else changes what an account holds (holds, legs, disputes …)
disturbs it: Postgres knows the account better from there on. Pure.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from payments.entries import EntryKind
from payments.items.details import Assessed, Cause, Detail, GivenBack, Legs, OpenItem
from schemas.codec.ledger import ENTRY, Counter, LedgerHeader, PackedLedgerRecord, SourceTopic, decode_ledger_record

_STATES_PAYER: Final = frozenset({EntryKind.RESERVED, EntryKind.RETURNED})
_POSTS: Final = frozenset({EntryKind.POSTED, EntryKind.RECEIVED})
_MOVES_NOTHING: Final = frozenset(
    {
        EntryKind.REJECTED,
        EntryKind.REFUSED,
        EntryKind.REPLAYED,
        EntryKind.KEY_REUSED,
        EntryKind.QUARANTINED,
        EntryKind.OBSERVED,
        EntryKind.LEARNED,
        EntryKind.ADVISED,
    }
)
_PLAIN: Final = bytes(kind << 1 for kind in _STATES_PAYER | _POSTS | _MOVES_NOTHING)
_HARMLESS: Final = frozenset[type[Detail]]({Cause, Assessed, GivenBack})
"""Details that change none of the four figures of a balance."""


class Moved(NamedTuple):
    """What one entry did to one account. `available_after_minor`: as the entry states it, None where it does not."""

    posted_delta_minor: int
    available_after_minor: int | None
    at_us: int


class Told(NamedTuple):
    """A ledger record. `disturbed`: accounts about which it says more than its `packed` entries do."""

    shard: int
    offset: int
    packed: bytes
    disturbed: frozenset[bytes]
    commands_next: int | None
    """Where it leaves payments.commands; None where it decided something else."""
    counters: tuple[Counter, ...]


def told_by(offset: int, value: bytes) -> Told:
    """The record at this offset. Raises UndecodableRecord."""
    record = decode_ledger_record(value)
    header: LedgerHeader = record.header
    commands_next = header.next_offset if header.source is SourceTopic.COMMANDS else None
    packed = bytes(record.packed)
    return Told(header.shard, offset, packed, _disturbed(record, packed), commands_next, header.counters)


def _disturbed(record: PackedLedgerRecord, packed: bytes) -> frozenset[bytes]:
    kinds = packed[:: ENTRY.size]
    if not record.details and not kinds.translate(None, _PLAIN):
        return frozenset()
    found: set[bytes] = set()
    for index, kind in enumerate(kinds):
        details = record.details.get(index, ())
        if kind not in _PLAIN or any(type(detail) not in _HARMLESS for detail in details):
            _, _, _, debit, credit, *_ = ENTRY.unpack_from(packed, index * ENTRY.size)
            found |= {debit, credit, *_named_by(details)}
    return frozenset(found)


def _named_by(details: tuple[Detail, ...]) -> Iterator[bytes]:
    for detail in details:
        if isinstance(detail, Legs):
            yield from (leg.account for leg in detail.legs)
        elif isinstance(detail, OpenItem):
            yield detail.owner


def moves(packed: bytes) -> Iterator[tuple[bytes, Moved]]:
    """What plain entries did, in their order; the operator's own accounts are among them."""
    for kind, _, _, debit, credit, amount_minor, _, after_minor, at_us, *_ in ENTRY.iter_unpack(packed):
        if kind >> 1 in _STATES_PAYER:
            yield debit, Moved(0, after_minor, at_us)
        elif kind >> 1 in _POSTS:
            yield debit, Moved(-amount_minor, None, at_us)
            yield credit, Moved(amount_minor, after_minor, at_us)
