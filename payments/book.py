"""The state of one shard: accounts, open items, remembered operations and receipts.

`evolve` is the only way it changes, live and on restore alike.
"""

import hashlib
from collections import deque
from typing import Protocol

from payments.accounts import Account, AccountStatus, AccountType
from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.identifiers import NIL, is_system
from payments.items.details import (
    OPEN_ITEMS,
    RULES_OWNER,
    Assessed,
    Dispute,
    Observation,
    Opening,
    OrderTerms,
    Published,
    RiskTerms,
    Rules,
)
from payments.items.endings import HOUR_US as HOUR_US
from payments.items.endings import RECEIPT_WINDOW_HOURS as RECEIPT_WINDOW_HOURS
from payments.items.open_items import Items, ItemsInMemory
from payments.items.profiles import attempt_of, learn, rule_set_of
from payments.postings import legs_of
from payments.risk.limits import UNLIMITED, Limits
from payments.risk.rules import NO_RULES, RuleSet
from payments.risk.state import LimitsSet, TierSet
from payments.spanning.keeping import count, learn_published, note_published, place_of

IDEMPOTENCY_WINDOW_HOURS = 72
"""A key is remembered for at least this long after its decision; older repeats over HTTP are answered from Postgres."""


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

    def __init__(self, window_hours: int = IDEMPOTENCY_WINDOW_HOURS) -> None:
        self._window_hours = window_hours
        self._fingerprints: dict[bytes, tuple[bytes, int]] = {}
        """With the hour that each counts for."""
        self._hours: deque[tuple[int, list[bytes]]] = deque()

    def __len__(self) -> int:
        return len(self._fingerprints)

    def fingerprint_of(self, operation_id: bytes) -> bytes | None:
        """See `Operations`."""
        known = self._fingerprints.get(operation_id)
        return known[0] if known is not None else None

    def remember(self, operation_id: bytes, fingerprint: bytes, hour: int) -> int:
        """See `Operations`."""
        if not self._hours or self._hours[-1][0] < hour:
            self._hours.append((hour, []))
            self._forget_before(hour - self._window_hours)
        newest, ids = self._hours[-1]
        ids.append(operation_id)
        self._fingerprints[operation_id] = fingerprint, newest
        return newest

    def _forget_before(self, hour: int) -> None:
        while self._hours[0][0] < hour:
            forgotten, ids = self._hours.popleft()
            for operation_id in ids:
                known = self._fingerprints.get(operation_id)
                if known is not None and known[1] == forgotten:  # else it was remembered again since
                    del self._fingerprints[operation_id]


class Book:
    """The state of one shard; in memory unless other keepers are given."""

    def __init__(
        self,
        accounts: Accounts | None = None,
        operations: Operations | None = None,
        items: Items | None = None,
        receipts: Operations | None = None,
    ) -> None:
        self.accounts: Accounts = {} if accounts is None else accounts
        self.operations: Operations = OperationsInMemory() if operations is None else operations
        self.items: Items = ItemsInMemory() if items is None else items
        self.receipts: Operations = OperationsInMemory(RECEIPT_WINDOW_HOURS) if receipts is None else receipts
        """Payment id → `receipt_fingerprint` of what merchants received and customers paid in."""
        self.rules: RuleSet = NO_RULES
        """In force: compiled from the item `Rules`."""

    def take_up_rules(self) -> None:
        """Compile the rule set that the items hold. To be called when they were restored."""
        found = self.items.find(Rules, RULES_OWNER, RULES_OWNER)
        self.rules = NO_RULES if found is None else rule_set_of(found.text)


_SIDES = dict.fromkeys(
    (
        EntryKind.RESERVED,
        EntryKind.RETURNED,
        EntryKind.HELD,
        EntryKind.HOLD_RAISED,
        EntryKind.CAPTURED,
        EntryKind.RELEASED,
        EntryKind.DEBITED,
    ),
    "debit_account",
) | dict.fromkeys(
    (EntryKind.POSTED, EntryKind.RECEIVED, EntryKind.POSTED_UNCOLLECTED, EntryKind.COLLECTED), "credit_account"
)
"""Whose available balance the entry states."""

_LEGS = frozenset({EntryKind.LEG_RESERVED, EntryKind.LEG_SETTLED, EntryKind.LEG_RELEASED})
"""These, too: of the one account that a leg has."""

STATES_BALANCE = frozenset(_SIDES) | _LEGS

_STANDING = {
    EntryKind.ACCOUNT_FROZEN: AccountStatus.FROZEN,
    EntryKind.ACCOUNT_UNFROZEN: AccountStatus.OPEN,
    EntryKind.ACCOUNT_CLOSED: AccountStatus.CLOSED,
}
_TERMS = frozenset(
    {EntryKind.ACCOUNT_OPENED, EntryKind.OVERDRAFT_LIMIT_SET, EntryKind.STANDING_SET, EntryKind.LIMITS_SET, *_STANDING}
)
_ANSWERED_BEFORE = frozenset({EntryKind.REPLAYED, EntryKind.KEY_REUSED})


def evolve(book: Book, entry: Entry) -> None:
    """Apply one entry. An entry states the balance and the items after it, so nothing is computed twice."""
    if is_remembered(entry):
        evolve_operations(book, entry)
    if is_receipt(entry):
        evolve_receipts(book, entry)
    account_id = changed_account(entry)
    if account_id is not None:
        evolve_account(book, account_id, entry)


def is_remembered(entry: Entry) -> bool:
    """True where the entry is the decision about its operation, which the same key must meet again."""
    return entry.fingerprint != NO_FINGERPRINT and entry.kind not in _ANSWERED_BEFORE


def evolve_operations(book: Book, entry: Entry) -> int:
    """Remember the operation that the entry decides; returns the hour that it counts for."""
    return book.operations.remember(entry.operation_id, entry.fingerprint, entry.decided_at_us // HOUR_US)


def is_receipt(entry: Entry) -> bool:
    """True for a payment that may have to be given back: a merchant's, or a deposit. A dispute that was won is none."""
    kind = entry.kind
    if kind is EntryKind.POSTED:
        is_decided_here = is_system(entry.debit_account) and entry.fingerprint != NO_FINGERPRINT
        return is_decided_here and not any(isinstance(detail, Dispute) for detail in entry.details)
    if kind is EntryKind.LEG_SETTLED:
        return entry.debit_account == NIL and _order_of(entry) is not None
    return kind is EntryKind.RECEIVED or kind is EntryKind.POSTED_UNCOLLECTED


def evolve_receipts(book: Book, entry: Entry) -> int:
    """Remember a receipt; returns the hour that it counts for."""
    order = _order_of(entry)
    payer = entry.debit_account if order is None else order.clearing_account
    fingerprint = receipt_fingerprint(payer, entry.credit_account, *received(entry))
    return book.receipts.remember(receipt_id(entry), fingerprint, entry.decided_at_us // HOUR_US)


def receipt_id(entry: Entry) -> bytes:
    """What the payment of a receipt is called: of an order that a provider has charged, the order."""
    order = _order_of(entry)
    return entry.operation_id if order is None else order.order_id


def _order_of(entry: Entry) -> OrderTerms | None:
    """The payment order that a leg belongs to."""
    if not entry.details:  # most receipts, asked three times: 2 to 3 of a payment's 22 µs
        return None
    return next((detail for detail in entry.details if isinstance(detail, OrderTerms)), None)


def received(entry: Entry) -> tuple[int, str]:
    """Amount and currency that may be given back: what was paid, or in another currency what arrived."""
    order = _order_of(entry)
    if order is not None:
        return order.amount_minor, entry.currency
    for leg in legs_of(entry.details):
        if leg.account == entry.credit_account and leg.currency != entry.currency:
            return leg.amount_minor, leg.currency
    return entry.amount_minor, entry.currency


def receipt_fingerprint(payer: bytes, payee: bytes, amount_minor: int, currency: str) -> bytes:
    """Eight bytes over what a refund has to state of its payment."""
    return hashlib.blake2b(b"%b%b%d\0%b" % (payer, payee, amount_minor, currency.encode()), digest_size=8).digest()


def changed_account(entry: Entry) -> bytes | None:
    """The account whose balance, terms or items the entry changes, if any."""
    kind = entry.kind
    side = _SIDES.get(kind)
    if side is not None:
        account_id = entry.credit_account if side == "credit_account" else entry.debit_account
    elif kind in _TERMS:
        account_id = entry.debit_account
    elif kind is EntryKind.ADVISED:
        return None
    elif kind in _LEGS:
        account_id = entry.credit_account if entry.debit_account == NIL else entry.debit_account
    else:
        return _owner(entry)
    return None if is_system(account_id) else account_id


def _owner(entry: Entry) -> bytes | None:
    """Of an entry that states no balance: the owner of its items, or whose refused attempt it records."""
    for detail in entry.details:
        if isinstance(detail, OPEN_ITEMS):
            return detail.owner
        if isinstance(detail, Assessed):
            return entry.debit_account
        if isinstance(detail, (Observation, Published)):
            return place_of(detail)
    return None


def evolve_account(book: Book, account_id: bytes, entry: Entry) -> None:
    """Apply an entry to the account that it changes, and to its items."""
    if entry.details:
        _evolve_items(book, account_id, entry)
    kind = entry.kind
    if kind in STATES_BALANCE:
        currency, _, overdraft_limit_minor, status, type_, is_limited = book.accounts[account_id]
        book.accounts[account_id] = Account(
            currency, entry.available_after_minor, overdraft_limit_minor, status, type_, is_limited
        )
    elif kind in _TERMS:
        _evolve_terms(book, account_id, entry)


def _evolve_items(book: Book, account_id: bytes, entry: Entry) -> None:
    for detail in entry.details:
        if isinstance(detail, OPEN_ITEMS):
            book.items.put(detail)
            if isinstance(detail, Rules):
                book.take_up_rules()
        elif isinstance(detail, Assessed):
            learn(book.items, account_id, attempt_of(entry, detail))
        elif isinstance(detail, RiskTerms):
            learn(book.items, account_id, LimitsSet(Limits(*detail[:3])), TierSet(detail.tier))
        elif isinstance(detail, Observation):
            count(book.items, detail, entry)
        elif isinstance(detail, Published):
            (note_published if entry.kind is EntryKind.OBSERVED else learn_published)(book.items, detail)


def _evolve_terms(book: Book, account_id: bytes, entry: Entry) -> None:
    kind = entry.kind
    if kind is EntryKind.ACCOUNT_OPENED:
        type_ = next((detail.type for detail in entry.details if isinstance(detail, Opening)), AccountType.CHECKING)
        book.accounts[account_id] = Account(entry.currency, 0, entry.amount_minor, type=type_)
        return
    account = book.accounts[account_id]
    if kind is EntryKind.LIMITS_SET:
        is_limited = any(isinstance(detail, RiskTerms) and detail[:3] != UNLIMITED for detail in entry.details)
        book.accounts[account_id] = account._replace(is_limited=is_limited)
        return
    if kind is EntryKind.OVERDRAFT_LIMIT_SET:
        book.accounts[account_id] = account._replace(overdraft_limit_minor=entry.amount_minor)
        return
    status = AccountStatus(entry.amount_minor) if kind is EntryKind.STANDING_SET else _STANDING[kind]
    book.accounts[account_id] = account._replace(status=status)
