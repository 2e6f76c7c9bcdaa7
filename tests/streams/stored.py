"""What a shard holds, on disk and in memory together: for tests that compare."""

from typing import Any

from payments.accounts import Account
from payments.book import IDEMPOTENCY_WINDOW_HOURS
from schemas.codec.snapshots import unpack_account
from streams.disk.book import BookOnDisk
from streams.disk.operations import _VALUE
from streams.shard import Shard
from streams.snapshots import PAGES


def book_of(shard: Shard) -> BookOnDisk:
    assert isinstance(shard.book, BookOnDisk)
    return shard.book


def accounts_of(shard: Shard) -> dict[bytes, Account]:
    """Every account of the shard."""
    accounts = book_of(shard).accounts
    return dict(unpack_account(row) for page in range(PAGES) for row in accounts.page(page))


def operations_of(shard: Shard) -> dict[bytes, tuple[bytes, int]]:
    """Fingerprint and hour of every operation in the window."""
    operations = book_of(shard).operations
    found: dict[bytes, bytes] = {}
    for family in reversed(operations._families):
        found.update(dict(family.rows.items()))  # type: ignore[arg-type]
    found.update(operations._unwritten)
    oldest = operations.newest_hour - IDEMPOTENCY_WINDOW_HOURS
    unpacked = {operation_id: _VALUE.unpack(value) for operation_id, value in found.items()}
    return {operation_id: (value[0], value[1]) for operation_id, value in unpacked.items() if value[1] >= oldest}


def state(shard: Shard) -> dict[str, Any]:
    """Everything that decides what the shard will do next."""
    return {
        "accounts": accounts_of(shard),
        "operations": operations_of(shard),
        "remembered": shard.remembered,
        "sequence": shard.sequence,
        "hash": shard.previous_hash,
        "lanes": {lane: dict(peers) for lane, peers in shard.lanes.items()},
        "offsets": dict(shard.next_offsets),
    }
