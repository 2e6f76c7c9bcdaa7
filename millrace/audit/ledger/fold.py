"""Adds the ledger up, entry by entry, with rules of its own: nothing of payments.lifecycle or payments.book.

Keeps one row per account (about 500 bytes; an account is worth nothing more to an audit). Guarantees that the balance
which every entry states is the sum of the amounts before it, and that no account was ever below its limit.
"""

from collections import Counter, defaultdict
from typing import NamedTuple

from millrace.audit.report import Differs, Invariant
from payments.accounts import AccountStatus
from payments.entries import EntryKind
from schemas.codec.ledger import ENTRY, PackedLedgerRecord

_DONE_TO_ACCOUNT = {
    EntryKind.ACCOUNT_FROZEN: AccountStatus.FROZEN,
    EntryKind.ACCOUNT_UNFROZEN: AccountStatus.OPEN,
    EntryKind.ACCOUNT_CLOSED: AccountStatus.CLOSED,
}


class FoldedAccount:
    """One customer account; amounts in minor units, times in microseconds since 1970."""

    __slots__ = ("available", "changed_at_us", "currency", "limit", "opened_at_us", "status")

    def __init__(self, currency: str, limit: int, opened_at_us: int) -> None:
        self.currency = currency
        self.limit = limit
        self.available = 0
        self.status = AccountStatus.OPEN
        self.opened_at_us = opened_at_us
        self.changed_at_us = opened_at_us


class Position(NamedTuple):
    """What one account holds: every account that the ledger names, the operator's included."""

    currency: str
    posted: int
    available: int
    changed_at_us: int


class Fold:
    """Feed every record with `add`, shard after shard."""

    def __init__(self) -> None:
        self.accounts: dict[bytes, FoldedAccount] = {}
        self.below_limit: dict[bytes, Differs] = {}
        """First entry at which each account stood below its limit."""
        self._posted: defaultdict[bytes, int] = defaultdict(int)
        self._currencies: dict[bytes, str] = {}
        self._touched_at_us: defaultdict[bytes, int] = defaultdict(int)
        self._reserved_less_ended: Counter[str] = Counter()

    def add(self, record: PackedLedgerRecord, place: str) -> None:
        """Raises Differs where an entry states another balance than the sum of those before it."""
        for index, packed in enumerate(ENTRY.iter_unpack(record.packed)):
            kind, _, _, debit, credit, amount, code, after, time_us, _, _, _ = packed
            match kind >> 1:
                case EntryKind.RESERVED:
                    self._reserved_less_ended[code.decode("ascii", "replace")] += amount
                    self._move(debit, -amount, after, time_us, f"{place} entry {index}")
                case EntryKind.POSTED:
                    self._post(debit, credit, amount, code.decode("ascii", "replace"), time_us)
                    if not _is_operators(credit):
                        self._move(credit, amount, after, time_us, f"{place} entry {index}")
                case EntryKind.RETURNED:
                    self._reserved_less_ended[code.decode("ascii", "replace")] -= amount
                    self._move(debit, amount, after, time_us, f"{place} entry {index}")
                case EntryKind.ACCOUNT_OPENED:
                    self._open(debit, code.decode("ascii", "replace"), amount, time_us, f"{place} entry {index}")
                case EntryKind.OVERDRAFT_LIMIT_SET:
                    self._known(debit, place).limit = amount
                    self._known(debit, place).changed_at_us = time_us
                    self._check_limit(debit, f"{place} entry {index}")
                case EntryKind.ACCOUNT_FROZEN | EntryKind.ACCOUNT_UNFROZEN | EntryKind.ACCOUNT_CLOSED as done:
                    self._known(debit, place).status = _DONE_TO_ACCOUNT[EntryKind(done)]
                    self._known(debit, place).changed_at_us = time_us

    def positions(self) -> dict[bytes, Position]:
        """Every account with its balances: for the operator's own, what is posted is available."""
        found = {}
        for account_id, currency in self._currencies.items():
            posted = self._posted[account_id]
            account = self.accounts.get(account_id)
            available = posted if account is None else account.available
            found[account_id] = Position(currency, posted, available, self._touched_at_us[account_id])
        return found

    def in_flight(self) -> dict[str, int]:
        """Per currency: reserved, and neither posted nor returned."""
        return {currency: amount for currency, amount in self._reserved_less_ended.items() if amount}

    def sums(self) -> tuple[dict[str, int], dict[str, int]]:
        """Per currency: of all postings, and of what is available and in flight. Both must be zero throughout."""
        postings: Counter[str] = Counter()
        held: Counter[str] = Counter(self._reserved_less_ended)
        for currency, posted, available, _ in self.positions().values():
            postings[currency] += posted
            held[currency] += available
        return dict(postings), dict(held)

    def _open(self, account_id: bytes, currency: str, limit: int, time_us: int, place: str) -> None:
        if account_id in self.accounts:
            raise Differs(Invariant.IDEMPOTENCY, place, "an account that is opened once", account_id.hex())
        self.accounts[account_id] = FoldedAccount(currency, limit, time_us)
        self._touch(account_id, currency, time_us)

    def _post(self, debit: bytes, credit: bytes, amount: int, currency: str, time_us: int) -> None:
        self._posted[debit] -= amount
        self._posted[credit] += amount
        self._touch(debit, currency, time_us)
        self._touch(credit, currency, time_us)
        if not _is_operators(debit):
            self._reserved_less_ended[currency] -= amount

    def _move(self, account_id: bytes, change: int, stated: int, time_us: int, place: str) -> None:
        account = self._known(account_id, place)
        account.available += change
        if account.available != stated:
            expected = f"available_after_minor {account.available} of account {account_id.hex()}"
            raise Differs(Invariant.CONSERVATION, place, expected, stated)
        self._touch(account_id, account.currency, time_us)
        self._check_limit(account_id, place)

    def _known(self, account_id: bytes, place: str) -> FoldedAccount:
        account = self.accounts.get(account_id)
        if account is None:
            raise Differs(Invariant.CONSERVATION, place, "an account that was opened before", account_id.hex())
        return account

    def _check_limit(self, account_id: bytes, place: str) -> None:
        account = self.accounts[account_id]
        if account.available < -account.limit and account_id not in self.below_limit:
            expected = f"at least {-account.limit} on account {account_id.hex()}"
            self.below_limit[account_id] = Differs(Invariant.LIMITS, place, expected, account.available)

    def _touch(self, account_id: bytes, currency: str, time_us: int) -> None:
        self._currencies.setdefault(account_id, currency)
        self._touched_at_us[account_id] = max(self._touched_at_us[account_id], time_us)


def _is_operators(account_id: bytes) -> bool:
    return account_id[:8] == bytes(8)
