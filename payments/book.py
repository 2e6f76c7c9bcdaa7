"""The state of one shard: accounts and remembered operations. `evolve` is the only way it changes, live and on restore
alike.
"""

from collections import deque
from typing import Protocol

from payments.accounts import Account, AccountStatus
from payments.entries import Entry, EntryKind
from payments.identifiers import is_system

IDEMPOTENCY_WINDOW_HOURS = 72
"""A key is remembered for at least this long after its decision; older repeats over HTTP are answered from Postgres."""

HOUR_US = 3_600_000_000


class Accounts(Protocol):
    """The accounts of one shard by id. A dict is one; the deciding stage keeps them on disk."""

    def get(self, account_id: bytes, /) -> Account | None: ...

    def __getitem__(self, account_id: bytes, /) -> Account: ...

    def __setitem__(self, account_id: bytes, account: Account, /) -> None: ...

    def __contains__(self, account_id: object, /) -> bool: ...


class Operations(Protocol):
    """Operation id → fingerprint of every decision inside the idempotency window, forgotten hour by hour.

    Time is the broker time of the entries, so a replay remembers and forgets at the same entries.
    """

    def fingerprint_of(self, operation_id: bytes) -> bytes | None:
        """What was decided under this id; None where nothing was, or it is forgotten."""
        ...

    def remember(self, operation_id: bytes, fingerprint: bytes, hour: int) -> int:
        """Remember one decision; returns the hour that it counts for.

        An hour before the newest counts as the newest: nothing is forgotten too early. Only a newer hour forgets.
        """
        ...


class OperationsInMemory:
    """`Operations` for books that are folded, replayed or audited: 300 bytes for each one remembered."""

    def __init__(self) -> None:
        self._fingerprints: dict[bytes, bytes] = {}
        self._hours: deque[tuple[int, list[bytes]]] = deque()

    def __len__(self) -> int:
        return len(self._fingerprints)

    def fingerprint_of(self, operation_id: bytes) -> bytes | None:
        """See `Operations`."""
        return self._fingerprints.get(operation_id)

    def remember(self, operation_id: bytes, fingerprint: bytes, hour: int) -> int:
        """See `Operations`."""
        if not self._hours or self._hours[-1][0] < hour:
            self._hours.append((hour, []))
            self._forget_before(hour - IDEMPOTENCY_WINDOW_HOURS)
        newest, ids = self._hours[-1]
        ids.append(operation_id)
        self._fingerprints[operation_id] = fingerprint
        return newest

    def _forget_before(self, hour: int) -> None:
        while self._hours[0][0] < hour:
            for operation_id in self._hours.popleft()[1]:
                del self._fingerprints[operation_id]


class Book:
    """Accounts and operations of one shard; in memory unless others are given."""

    def __init__(self, accounts: Accounts | None = None, operations: Operations | None = None) -> None:
        self.accounts: Accounts = {} if accounts is None else accounts
        self.operations: Operations = OperationsInMemory() if operations is None else operations


_REMEMBERED = frozenset(
    {
        EntryKind.RESERVED,
        EntryKind.REJECTED,
        EntryKind.ACCOUNT_OPENED,
        EntryKind.ACCOUNT_FROZEN,
        EntryKind.ACCOUNT_UNFROZEN,
        EntryKind.ACCOUNT_CLOSED,
        EntryKind.OVERDRAFT_LIMIT_SET,
    }
)
_CHANGED = {EntryKind.POSTED: "credit_account"} | dict.fromkeys(
    _REMEMBERED - {EntryKind.REJECTED} | {EntryKind.RETURNED}, "debit_account"
)
_STANDING = {
    EntryKind.ACCOUNT_FROZEN: AccountStatus.FROZEN,
    EntryKind.ACCOUNT_UNFROZEN: AccountStatus.OPEN,
    EntryKind.ACCOUNT_CLOSED: AccountStatus.CLOSED,
}


def evolve(book: Book, entry: Entry) -> None:
    """Apply one entry. An entry states the balance after it, so nothing is computed twice."""
    if is_remembered(entry):
        evolve_operations(book, entry)
    account_id = changed_account(entry)
    if account_id is not None:
        evolve_account(book, account_id, entry)


def is_remembered(entry: Entry) -> bool:
    """True where the entry is the decision about its operation, which the same key must meet again."""
    return entry.kind in _REMEMBERED or (entry.kind is EntryKind.POSTED and is_system(entry.debit_account))


def evolve_operations(book: Book, entry: Entry) -> int:
    """Remember the operation that the entry decides; returns the hour that it counts for."""
    return book.operations.remember(entry.operation_id, entry.fingerprint, entry.decided_at_us // HOUR_US)


def changed_account(entry: Entry) -> bytes | None:
    """The account whose partition state the entry changes, if any."""
    side = _CHANGED.get(entry.kind)
    if side is None:
        return None
    account_id = entry.credit_account if side == "credit_account" else entry.debit_account
    return None if is_system(account_id) else account_id


def evolve_account(book: Book, account_id: bytes, entry: Entry) -> None:
    """Apply an entry to the account that it changes."""
    kind = entry.kind
    if kind is EntryKind.ACCOUNT_OPENED:
        book.accounts[account_id] = Account(entry.currency, 0, entry.amount_minor)
        return
    currency, available_minor, overdraft_limit_minor, status = book.accounts[account_id]
    if kind is EntryKind.OVERDRAFT_LIMIT_SET:
        overdraft_limit_minor = entry.amount_minor
    elif kind in _STANDING:
        status = _STANDING[kind]
    else:
        available_minor = entry.available_after_minor
    book.accounts[account_id] = Account(currency, available_minor, overdraft_limit_minor, status)
