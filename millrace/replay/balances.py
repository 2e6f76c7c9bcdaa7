"""Balances of every account, added up from batches of ledger entries in numpy; entries with details one by one.

Keeps one row per account (about 180 bytes: a key, two sums and what the ledger said last) and what is left of every
open hold. Guarantees that the available balance which the ledger states last equals the sum of the amounts before it.
Which entry moves what is the audit's own rule and not taken from the sink, which it is compared with.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from millrace.audit.ledger.entry_batch import Column, EntryBatch, Mask
from millrace.audit.ledger.rules import RULES, Move, Rule, moves_of, stated_account
from millrace.audit.report import Differs, Invariant
from payments.entries import Entry, EntryKind
from payments.identifiers import ACCOUNT, format_id, is_system
from payments.items.details import Hold
from schemas.codec.fields import currency_bytes

_FIRST_CAPACITY = 1_024

Rows = NDArray[np.intp]
"""Indices of accounts."""


_RULES = [RULES.get(kind, Rule()) for kind in EntryKind]
_POSTS = np.array([rule.posts for rule in _RULES])
_DEBIT = np.array([rule.debit for rule in _RULES])
_CREDIT = np.array([rule.credit for rule in _RULES])
_STATES = {side: np.array([rule.states == side for rule in _RULES]) for side in ("debit", "credit")}
"""By kind: one look-up per entry."""


class Changes(NamedTuple):
    """What entries do to accounts, in ledger order. `at` is the index of the entry in its batch."""

    at: NDArray[np.intp]
    account: Column
    currency: Column
    posted: NDArray[np.int64]
    available: NDArray[np.int64]
    states: Mask
    """Whether the entry states the available balance of this account."""


class Balance(NamedTuple):
    """What one account holds, in minor units; of the operator's own, all that is posted is available."""

    currency: str
    posted_minor: int
    available_minor: int


class CurrencyTotals(NamedTuple):
    """Sums over the accounts of one currency, in minor units."""

    accounts: int
    """Accounts of customers."""

    posted_minor: int
    """Of customers."""

    available_minor: int
    """Of customers."""

    in_flight_minor: int
    """Posted less available: reserved and neither posted nor returned, held, uncollected, or in a journal."""

    system_minor: int
    """The operator's own accounts."""

    postings_sum_minor: int
    """Zero, or money was made or lost."""


class _Rows(dict[bytes, int]):
    """Account id to row; an id seen for the first time takes the next row."""

    def __missing__(self, account_id: bytes) -> int:
        row = len(self)
        self[account_id] = row
        return row


class Balances:
    """Feed it with `add`, shard by shard in ledger order; shards may alternate.

    Sums are signed 64-bit, and additions wrap: a sum is exact wherever it fits the bigint of the table in the end.
    """

    def __init__(self) -> None:
        self.entries = 0
        self._left_of_holds: dict[bytes, int] = {}
        self._rows = _Rows()
        self._allocate(_FIRST_CAPACITY)

    def __len__(self) -> int:
        return len(self._rows)

    def _allocate(self, capacity: int) -> None:
        self._currency = np.zeros(capacity, "S3")
        self._posted = np.zeros(capacity, np.int64)
        self._available = np.zeros(capacity, np.int64)
        self._stated = np.zeros(capacity, np.int64)
        self._is_system = np.zeros(capacity, np.bool_)

    def add(self, batch: EntryBatch, place: str) -> None:
        """Raises Differs where the ledger states another available balance than its amounts make."""
        changes = _plain_changes(batch)
        if batch.has_details.any():
            changes = _merged(changes, self._detailed_changes(batch))
        if len(changes.at):
            rows = self._rows_of(changes)
            np.add.at(self._posted, rows, changes.posted)
            np.add.at(self._available, rows, changes.available)
            states = changes.states & ~self._is_system[rows]
            after = batch.entries["available_after_minor"].astype(np.int64)[changes.at]
            self._check(rows[states], after[states], place)
        self.entries += len(batch.entries)

    def _detailed_changes(self, batch: EntryBatch) -> Changes:
        found: list[tuple[int, Move, bool]] = []
        for at, _, entry in batch.detailed():
            found += [(at, move, False) for move in moves_of(entry, self._before(entry))]
            stated = stated_account(entry)
            if stated is not None:
                found.append((at, Move(stated, entry.currency, 0, 0), True))
        moves = [move for _, move, _ in found]
        return Changes(
            np.array([at for at, _, _ in found], np.intp),
            np.array([move.account for move in moves], "S16").view("V16"),
            np.array([currency_bytes(move.currency) for move in moves], "S3").view("V3"),
            np.array([move.posted for move in moves], np.int64),
            np.array([move.available for move in moves], np.int64),
            np.array([states for _, _, states in found], np.bool_),
        )

    def _before(self, entry: Entry) -> int:
        """What was left of the hold that the entry changes."""
        left = 0
        for hold in (detail for detail in entry.details if isinstance(detail, Hold)):
            left = self._left_of_holds.pop(hold.item_id, 0)
            if hold.is_open:
                self._left_of_holds[hold.item_id] = hold.amount_minor
        return left

    def _check(self, rows: Rows, stated: NDArray[np.int64], place: str) -> None:
        """Of several statements about one account, the last one counts: numpy assigns in order."""
        self._stated[rows] = stated
        wrong = rows[self._available[rows] != self._stated[rows]]
        if len(wrong):
            row, account = int(wrong[0]), format_id(ACCOUNT, list(self._rows)[int(wrong[0])])
            expected = f"available_after_minor {self._available[row]} of {account}"
            raise Differs(Invariant.CONSERVATION, place, expected, int(self._stated[row]))

    def _rows_of(self, changes: Changes) -> Rows:
        known = len(self._rows)
        rows = np.fromiter(map(self._rows.__getitem__, changes.account.tolist()), np.intp, len(changes.at))
        if len(self._rows) > known:
            self._reserve(len(self._rows))
            fresh = np.flatnonzero(rows >= known)[::-1]  # the first one that names an account says its currency
            self._currency[rows[fresh]] = changes.currency[fresh].view("S3")
            self._is_system[rows[fresh]] = [is_system(account_id) for account_id in changes.account[fresh].tolist()]
        return rows

    def _reserve(self, rows: int) -> None:
        held = self._currency, self._posted, self._available, self._stated, self._is_system
        capacity = len(self._posted)
        if rows <= capacity:
            return
        self._allocate(max(rows, 2 * capacity))
        fresh = self._currency, self._posted, self._available, self._stated, self._is_system
        for old, new in zip(held, fresh, strict=True):
            new[:capacity] = old

    def adopt_holds(self, left_of_holds: Mapping[bytes, int]) -> None:
        """Take open holds over from elsewhere, by their ids."""
        self._left_of_holds.update(left_of_holds)

    def adopt(self, account_ids: Column, currency: Column, posted: Column, available: Column) -> None:
        """Take balances over from elsewhere, for accounts that are not known yet."""
        rows = np.fromiter(map(self._rows.__getitem__, account_ids.tolist()), np.intp, len(account_ids))
        self._reserve(len(self._rows))
        self._currency[rows], self._posted[rows], self._available[rows] = currency, posted, available
        self._is_system[rows] = [is_system(account_id) for account_id in account_ids.tolist()]

    def find(self, account_ids: list[bytes]) -> Rows:
        """Row of each, -1 where there is none."""
        return np.fromiter((self._rows.get(account_id, -1) for account_id in account_ids), np.intp, len(account_ids))

    def columns(self, rows: Rows) -> tuple[Column, Column, Column]:
        """Currency (S3), posted and available of these rows."""
        return self._currency[rows], self._posted[rows], self._available[rows]

    def ids(self) -> Iterator[bytes]:
        """Account ids in order of their rows."""
        return iter(self._rows)

    def of(self, account_id: bytes) -> Balance | None:
        """None where the ledger does not name the account."""
        row = self._rows.get(account_id)
        if row is None:
            return None
        return Balance(self._currency[row].decode("ascii"), int(self._posted[row]), int(self._available[row]))

    def totals(self) -> dict[str, CurrencyTotals]:
        """By currency, in their order."""
        count = len(self)
        currency, posted, available = self._currency[:count], self._posted[:count], self._available[:count]
        is_system = self._is_system[:count]
        found = {}
        for code in np.unique(currency):
            customers, system = (currency == code) & ~is_system, (currency == code) & is_system
            held, free, own = _total(posted[customers]), _total(available[customers]), _total(posted[system])
            number = int(np.count_nonzero(customers))
            found[code.decode("ascii")] = CurrencyTotals(number, held, free, held - free, own, held + own)
        return found


def _plain_changes(batch: EntryBatch) -> Changes:
    """Of the entries without details, two places each (debit, credit)."""
    entries, kinds, posts = batch.entries, batch.kinds, _POSTS[batch.kinds]
    amount, plain = entries["amount_minor"].astype(np.int64), ~batch.has_details
    debit_states, credit_states = _STATES["debit"][kinds], _STATES["credit"][kinds]
    # What is posted on an account of the operator is available there.
    debit_available = (_DEBIT[kinds] - (posts & batch.debit_is_system)) * amount
    touched = _interleaved(plain & (posts | debit_states), plain & (posts | credit_states))
    at = np.arange(len(entries))
    return Changes(
        _interleaved(at, at)[touched],
        _interleaved(entries["debit_account"], entries["credit_account"])[touched],
        _interleaved(entries["currency"], entries["currency"])[touched],
        _interleaved(-amount * posts, amount * posts)[touched],
        _interleaved(debit_available, _CREDIT[kinds] * amount)[touched],
        _interleaved(debit_states, credit_states)[touched],
    )


def _merged(plain: Changes, detailed: Changes) -> Changes:
    """In ledger order."""
    whole = [np.concatenate(pair) for pair in zip(plain, detailed, strict=True)]
    order = np.argsort(whole[0], kind="stable")
    return Changes(*(column[order] for column in whole))


def _interleaved(debit: Column, credit: Column) -> Column:
    """Two places per entry (debit, credit), in ledger order."""
    return np.stack([debit, credit], axis=1).ravel()


def _total(values: NDArray[np.int64]) -> int:
    """Without the 64-bit limit: the halves of 32 bits are summed apart."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())
