"""Adds the ledger up, entry by entry, with rules of its own (rules, items): nothing of payments.lifecycle or
payments.book, and no decision of payments.movements.

Keeps one row per account (about 500 bytes; an account is worth nothing more to an audit) and the open items. Guarantees
that the balance which every entry states is the sum of the amounts before it, that no account was ever below its limit,
that every journal entry balances, and that items are what the entries make of them.
"""

from collections import Counter, defaultdict
from typing import NamedTuple

from millrace.audit.ledger.items import Items
from millrace.audit.ledger.rules import RULES, Move, is_operators, moves_of, posted_legs, stated_account
from millrace.audit.report import Differs, Invariant
from payments.accounts import AccountStatus, AccountType
from payments.entries import Entry, EntryKind
from payments.identifiers import NIL
from payments.items.details import Opening
from schemas.codec.ledger import ENTRY, PackedLedgerRecord

_DONE_TO_ACCOUNT = {
    EntryKind.ACCOUNT_FROZEN: AccountStatus.FROZEN,
    EntryKind.ACCOUNT_UNFROZEN: AccountStatus.OPEN,
    EntryKind.ACCOUNT_CLOSED: AccountStatus.CLOSED,
}
_TOLD_BY_DETAILS = (frozenset(RULES) | {EntryKind.ORDERS_PLACED, EntryKind.PROVIDER_ASKED}) - {
    EntryKind.ACCOUNT_OPENED,
    EntryKind.RESERVED,
    EntryKind.POSTED,
    EntryKind.RECEIVED,
    EntryKind.RETURNED,
}
"""Kinds that always state a cause, legs or an item."""


class FoldedAccount:
    """One customer account; amounts in minor units, times in microseconds since 1970."""

    __slots__ = ("available", "changed_at_us", "currency", "limit", "opened_at_us", "status", "type")

    def __init__(self, currency: str, limit: int, opened_at_us: int) -> None:
        self.currency = currency
        self.limit = limit
        self.available = 0
        self.status = AccountStatus.OPEN
        self.type = AccountType.CHECKING
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
        self.items = Items()
        self.below_limit: dict[bytes, Differs] = {}
        """First entry at which each account stood below its limit."""
        self._posted: defaultdict[bytes, int] = defaultdict(int)
        self._currencies: dict[bytes, str] = {}
        self._touched_at_us: defaultdict[bytes, int] = defaultdict(int)
        self._reserved_less_ended: Counter[str] = Counter()
        self._in_journals: Counter[str] = Counter()
        """Reserved by legs or posted by journals, and not settled by legs yet."""

    def add(self, record: PackedLedgerRecord, place: str) -> None:
        """Raises Differs where an entry states another balance than the sum of those before it."""
        detailed = dict(record.detailed())
        header = record.header
        for index, packed in enumerate(ENTRY.iter_unpack(record.packed)):
            entry, at = detailed.get(index), f"{place} entry {index}"
            if entry is None:
                self._plain(packed, at)
            else:
                self._detailed(entry, (header.shard, header.sequence, index), at)

    def _plain(
        self, packed: tuple[int, int, bytes, bytes, bytes, int, bytes, int, int, bytes, int, int], place: str
    ) -> None:
        """The bulk of every ledger, without an object per entry."""
        kind, _, _, debit, credit, amount, code, after, time_us, _, _, _ = packed
        match kind >> 1:
            case EntryKind.RESERVED:
                self._reserved_less_ended[code.decode("ascii", "replace")] += amount
                self._move(debit, -amount, after, time_us, place)
            case EntryKind.POSTED | EntryKind.RECEIVED:
                self._post(debit, credit, amount, code.decode("ascii", "replace"), time_us)
                if not is_operators(credit):
                    self._move(credit, amount, after, time_us, place)
            case EntryKind.RETURNED:
                self._reserved_less_ended[code.decode("ascii", "replace")] -= amount
                self._move(debit, amount, after, time_us, place)
            case EntryKind.ACCOUNT_OPENED:
                self._open(debit, code.decode("ascii", "replace"), amount, time_us, place)
            case EntryKind.OVERDRAFT_LIMIT_SET:
                self._known(debit, place).limit = amount
                self._known(debit, place).changed_at_us = time_us
                self._check_limit(debit, place)
            case EntryKind.STANDING_SET:
                self._stand(debit, AccountStatus(amount), time_us, place)
            case EntryKind.ACCOUNT_FROZEN | EntryKind.ACCOUNT_UNFROZEN | EntryKind.ACCOUNT_CLOSED as done:
                self._stand(debit, _DONE_TO_ACCOUNT[EntryKind(done)], time_us, place)
            case bare if bare in _TOLD_BY_DETAILS:
                raise Differs(Invariant.CONSERVATION, place, f"details of {EntryKind(bare).name}", "none")

    def _detailed(self, entry: Entry, where: tuple[int, int, int], place: str) -> None:
        if entry.kind is EntryKind.ACCOUNT_OPENED:
            self._open(entry.debit_account, entry.currency, entry.amount_minor, entry.decided_at_us, place)
            for detail in entry.details:
                if isinstance(detail, Opening):
                    self.accounts[entry.debit_account].type = detail.type
            return
        _require_balance(entry, place)
        moves = moves_of(entry, self.items.left_of_hold(entry))
        uncollected = self.items.uncollected_change(entry)
        self.items.add(entry, where, place)
        self._set_aside(entry, moves, uncollected)
        for move in moves:
            self._posted[move.account] += move.posted
            self._touch(move.account, move.currency, entry.decided_at_us)
            if move.available and not is_operators(move.account):
                self._known(move.account, place).available += move.available
        account_id = stated_account(entry)
        if account_id is not None:
            self._move(account_id, 0, entry.available_after_minor, entry.decided_at_us, place)

    def _set_aside(self, entry: Entry, moves: list[Move], uncollected: int) -> None:
        """What has left one account and not reached another one yet, besides holds and uncollected deposits."""
        match entry.kind:
            case EntryKind.RESERVED | EntryKind.CAPTURED:
                self._reserved_less_ended[entry.currency] += entry.amount_minor
            case EntryKind.RETURNED:
                self._reserved_less_ended[entry.currency] -= entry.amount_minor
            case EntryKind.POSTED | EntryKind.RECEIVED if not is_operators(entry.debit_account):
                self._reserved_less_ended[entry.currency] -= entry.amount_minor
            case EntryKind.JOURNAL_POSTED | EntryKind.LEG_RESERVED | EntryKind.LEG_SETTLED | EntryKind.LEG_RELEASED:
                self._in_journals[entry.currency] -= uncollected
                for move in moves:
                    self._in_journals[move.currency] -= move.available

    def positions(self) -> dict[bytes, Position]:
        """Every account with its balances: for the operator's own, what is posted is available."""
        found = {}
        for account_id, currency in self._currencies.items():
            posted = self._posted[account_id]
            account = self.accounts.get(account_id)
            available = account.available if account is not None else posted if is_operators(account_id) else 0
            found[account_id] = Position(currency, posted, available, self._touched_at_us[account_id])
        return found

    def in_flight(self) -> dict[str, int]:
        """Per currency: reserved, and neither posted nor returned."""
        return {currency: amount for currency, amount in self._reserved_less_ended.items() if amount}

    def sums(self) -> tuple[dict[str, int], dict[str, int]]:
        """Per currency: of all postings, and of what is available, in flight, held, uncollected and in journals. Both
        must be zero throughout.
        """
        postings: Counter[str] = Counter()
        held: Counter[str] = Counter(self._reserved_less_ended)
        held.update(self._in_journals)
        held.update(self.items.set_aside())
        for currency, posted, available, _ in self.positions().values():
            postings[currency] += posted
            held[currency] += available
        return dict(postings), dict(held)

    def _open(self, account_id: bytes, currency: str, limit: int, time_us: int, place: str) -> None:
        if account_id in self.accounts:
            raise Differs(Invariant.IDEMPOTENCY, place, "an account that is opened once", account_id.hex())
        self.accounts[account_id] = FoldedAccount(currency, limit, time_us)
        self._touch(account_id, currency, time_us)

    def _stand(self, account_id: bytes, status: AccountStatus, time_us: int, place: str) -> None:
        account = self._known(account_id, place)
        account.status, account.changed_at_us = status, time_us

    def _post(self, debit: bytes, credit: bytes, amount: int, currency: str, time_us: int) -> None:
        self._posted[debit] -= amount
        self._posted[credit] += amount
        self._touch(debit, currency, time_us)
        self._touch(credit, currency, time_us)
        if not is_operators(debit):
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


def _require_balance(entry: Entry, place: str) -> None:
    sums: Counter[str] = Counter()
    for leg in posted_legs(entry):
        sums[leg.currency] += leg.posted
        if leg.account == NIL:
            raise Differs(Invariant.CONSERVATION, place, "an account for every leg", "none")
    for currency, total in sums.items():
        if total:
            raise Differs(Invariant.CONSERVATION, place, f"legs that add up to 0 {currency}", total)
