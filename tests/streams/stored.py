"""What a shard holds, on disk and in memory together: for tests that compare."""

from typing import Any

from payments.accounts import Account
from payments.items.details import OpenItem
from payments.items.open_items import EndingPlace, ending_at
from schemas.codec.named import read_items
from schemas.codec.snapshots import unpack_account
from streams.disk.book import BookOnDisk
from streams.disk.endings import _KEY
from streams.disk.operations import _VALUE, OperationsOnDisk
from streams.shard import Shard
from streams.snapshots import PAGES


def book_of(shard: Shard) -> BookOnDisk:
    assert isinstance(shard.book, BookOnDisk)
    return shard.book


def accounts_of(shard: Shard) -> dict[bytes, Account]:
    """Every account of the shard."""
    accounts = book_of(shard).accounts
    return dict(unpack_account(row) for page in range(PAGES) for row in accounts.page(page))


def items_of(shard: Shard) -> set[OpenItem]:
    """Every open item of the shard."""
    items = book_of(shard).items
    return {read_items(memoryview(row), 0)[0][0] for page in range(PAGES) for row in items.page(page)}


def due_of(shard: Shard) -> list[EndingPlace]:
    """Of the open items that time ends, in the order in which it will."""
    items = book_of(shard).items
    endings, never = items._endings, b"\xff" * _KEY.size
    places = (EndingPlace(*_KEY.unpack(key)) for key in sorted((*endings._written(never), *endings._added(never))))
    return [place for place in places if ending_at(items, place) is not None]


def operations_of(shard: Shard) -> dict[bytes, tuple[bytes, int]]:
    """Fingerprint and hour of every operation in the window."""
    return remembered_of(book_of(shard).operations)


def remembered_of(kept: OperationsOnDisk) -> dict[bytes, tuple[bytes, int]]:
    """Fingerprint and hour of all that is in the window."""
    found: dict[bytes, bytes] = {}
    for family in reversed(kept._families):
        found.update(dict(family.rows.items()))  # type: ignore[arg-type]
    found.update(kept._unwritten)
    unpacked = {operation_id: _VALUE.unpack(value) for operation_id, value in found.items()}
    return {
        operation_id: (value[0], value[1]) for operation_id, value in unpacked.items() if value[1] >= kept.oldest_hour
    }


def state(shard: Shard) -> dict[str, Any]:
    """Everything that decides what the shard will do next."""
    book = book_of(shard)
    items = items_of(shard)
    owners = {item.owner for item in items}
    assert {item for owner in owners for item in book.items.of(owner)} == items
    return {
        "accounts": accounts_of(shard),
        "items": items,
        "due holds": due_of(shard),
        "operations": operations_of(shard),
        "receipts": remembered_of(book.receipts),
        "remembered": (book.operations.count, book.receipts.count),
        "sequence": shard.sequence,
        "hash": shard.previous_hash,
        "lanes": {lane: dict(peers) for lane, peers in shard.lanes.items()},
        "offsets": dict(shard.next_offsets),
    }
