"""Snapshots of a shard: pages of accounts, segments of remembered operations, and the head of its ledger."""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import NamedTuple

from payments.accounts import Account
from payments.errors import UndecodableRecord
from payments.items.details import OpenItem
from schemas import wire
from schemas.codec import reference
from schemas.codec.fields import account_status_of, account_type_of, currency_bytes, currency_code
from schemas.codec.ledger import Counter, Lane
from schemas.codec.named import encode_items, read_items
from schemas.registry import ids_of, latest

_ACCOUNT = Struct(">16s3sqqBBB")
_PLAIN_ACCOUNT = Struct(">16s3sqqB")
"""Of version 1, in which every account was a checking account and had no items."""

_OPERATION = Struct(">16s8s")
_PAGE = latest("AccountsPage").schema_id
_PAGES = ids_of("AccountsPage")
_PLAIN_PAGE = min(_PAGES)
_SEGMENT = latest("OperationsSegment").schema_id
_HEAD = latest("ShardHead").schema_id


class AccountsPage(NamedTuple):
    """The accounts of one page, exact after the ledger records below `sequence`."""

    shard: int
    page: int
    sequence: int
    taken_at_us: int
    accounts: list[tuple[bytes, Account]]
    items: Sequence[OpenItem] = ()
    """Open items whose owner is on this page."""


class OperationsSegment(NamedTuple):
    """Operations remembered in one hour, in order; with the earlier segments all of them below `sequence`."""

    shard: int
    hour: int
    segment: int
    sequence: int
    taken_at_us: int
    operations: list[tuple[bytes, bytes]]


class ShardHead(NamedTuple):
    """Where the shard's ledger stood."""

    shard: int
    sequence: int
    previous_hash: bytes
    taken_at_us: int
    counters: list[Counter]
    next_offsets: dict[str, int]


Snapshot = AccountsPage | OperationsSegment | ShardHead


def encode_page(page: AccountsPage) -> bytes:
    """A whole record value."""
    return encode_packed_page(page, [pack_account(*item) for item in page.accounts])


def encode_packed_page(page: AccountsPage, packed: list[bytes]) -> bytes:
    """A whole record value whose accounts are packed already; those of `page` are not looked at."""
    numbers = page.shard, page.page, page.sequence, page.taken_at_us
    return _framed(_PAGE, numbers, packed) + encode_items(page.items)


def pack_account(account_id: bytes, account: Account) -> bytes:
    """One account as it stands in a page: 38 bytes, the id first."""
    currency, available_minor, limit_minor, status, type_, is_limited = account
    return _ACCOUNT.pack(
        account_id, currency_bytes(currency), available_minor, limit_minor, status << 1, type_ << 1, is_limited
    )


def unpack_account(packed: bytes) -> tuple[bytes, Account]:
    """The account of `pack_account`."""
    return _account(*_ACCOUNT.unpack(packed))


def encode_segment(segment: OperationsSegment) -> bytes:
    """A whole record value."""
    return _framed(_SEGMENT, segment[:5], [_OPERATION.pack(*operation) for operation in segment.operations])


def encode_head(head: ShardHead) -> bytes:
    """A whole record value."""
    counters = [{"lane": c.lane.name.lower(), "shard": c.shard, "next": c.next} for c in head.counters]
    return reference.encode("ShardHead", head._asdict() | {"counters": counters})


def decode_snapshot(value: bytes) -> Snapshot:
    """The page, segment or head of a record value. Raises UndecodableRecord: a bug or tampering."""
    schema_id = wire.schema_id_of(value)
    if schema_id == _HEAD:
        return _decode_head(value)
    if schema_id not in (*_PAGES, _SEGMENT):
        raise UndecodableRecord(f"schema id {schema_id} is no snapshot")
    buffer = memoryview(value)
    if schema_id != _SEGMENT:
        return _decode_page(buffer, schema_id)
    (shard, hour, segment, sequence, taken_at_us), items, at = _unframed(buffer, 5, _OPERATION)
    wire.require_end(buffer, at)
    return OperationsSegment(shard, hour, segment, sequence, taken_at_us, list(_OPERATION.iter_unpack(items)))


def _decode_page(buffer: memoryview, schema_id: int) -> AccountsPage:
    packing = _PLAIN_ACCOUNT if schema_id == _PLAIN_PAGE else _ACCOUNT
    (shard, page, sequence, taken_at_us), packed, at = _unframed(buffer, 4, packing)
    accounts = [_account(*fields) for fields in packing.iter_unpack(packed)]
    items: Sequence[OpenItem] = ()
    if schema_id != _PLAIN_PAGE:
        items, at = read_items(buffer, at, schema_id)
    wire.require_end(buffer, at)
    return AccountsPage(shard, page, sequence, taken_at_us, accounts, items)


def _unframed(buffer: memoryview, count: int, item: Struct) -> tuple[list[int], memoryview, int]:
    numbers, at = [], wire.FRAME_BYTES
    for _ in range(count):
        number, at = wire.read_long(buffer, at)
        numbers.append(number)
    items, _, at = wire.read_fixed_array(buffer, at, item)
    return numbers, items, at


def _framed(schema_id: int, numbers: Iterable[int], packed: list[bytes]) -> bytes:
    return b"".join((wire.frame(schema_id), *map(wire.write_long, numbers), wire.write_array(packed)))


def _account(
    account_id: bytes,
    currency: bytes,
    available_minor: int,
    limit_minor: int,
    status: int,
    type_: int = 0,
    is_limited: int = 0,
) -> tuple[bytes, Account]:
    if is_limited > 1:
        raise UndecodableRecord("a boolean that is neither 0 nor 1")
    account = Account(
        currency_code(currency),
        available_minor,
        limit_minor,
        account_status_of(status),
        account_type_of(type_),
        bool(is_limited),
    )
    return account_id, account


def _decode_head(value: bytes) -> ShardHead:
    _, fields = reference.decode(value)
    counters = [Counter(Lane[c["lane"].upper()], c["shard"], c["next"]) for c in fields["counters"]]
    head = ShardHead(**(fields | {"counters": counters}))
    if encode_head(head) != value:  # fastavro reads other forms, numbers of more than 64 bits among them, as equal
        raise UndecodableRecord("a head in a form that no writer of these records makes")
    return head
