"""Balances of every account, added up from batches of ledger entries in numpy.

Keeps one row per account (about 180 bytes: a key, two sums and what the ledger said last). Guarantees that the
available balance which the ledger states last equals the sum of the amounts before it. Which entry moves what is
written here once more and not taken from the sink, which it is compared with.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from millrace.audit.ledger.entry_batch import Column, EntryBatch, Mask
from millrace.audit.report import Differs, Invariant
from payments.entries import EntryKind
from payments.identifiers import ACCOUNT, format_id, is_system

_FIRST_CAPACITY = 1_024

Rows = NDArray[np.intp]
"""Indices of accounts."""


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
    """Reserved at the payer, and neither posted nor returned."""

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
        posted, reserved = batch.is_any(EntryKind.POSTED), batch.is_any(EntryKind.RESERVED)
        returned, opened = batch.is_any(EntryKind.RETURNED), batch.is_any(EntryKind.ACCOUNT_OPENED)
        amount = batch.entries["amount_minor"].astype(np.int64)
        debit_states = reserved | returned | opened
        touched = _interleaved(debit_states | posted, posted)
        if touched.any():
            rows = self._rows_of(batch, touched)
            debit_available = (returned.astype(np.int64) - reserved - (posted & batch.debit_is_system)) * amount
            np.add.at(self._posted, rows, _interleaved(-amount * posted, amount * posted)[touched])
            np.add.at(self._available, rows, _interleaved(debit_available, amount * posted)[touched])
            states = _interleaved(debit_states, posted)[touched] & ~self._is_system[rows]
            after = np.repeat(batch.entries["available_after_minor"].astype(np.int64), 2)[touched]
            self._check(rows[states], after[states], place)
        self.entries += len(batch.entries)

    def _check(self, rows: Rows, stated: NDArray[np.int64], place: str) -> None:
        """Of several statements about one account, the last one counts: numpy assigns in order."""
        self._stated[rows] = stated
        wrong = rows[self._available[rows] != self._stated[rows]]
        if len(wrong):
            row, account = int(wrong[0]), format_id(ACCOUNT, list(self._rows)[int(wrong[0])])
            expected = f"available_after_minor {self._available[row]} of {account}"
            raise Differs(Invariant.CONSERVATION, place, expected, int(self._stated[row]))

    def _rows_of(self, batch: EntryBatch, touched: Mask) -> Rows:
        ids = _interleaved(batch.entries["debit_account"], batch.entries["credit_account"])[touched]
        known = len(self._rows)
        rows = np.fromiter(map(self._rows.__getitem__, ids.tolist()), np.intp, len(ids))
        if len(self._rows) > known:
            self._reserve(len(self._rows))
            fresh = np.flatnonzero(rows >= known)
            self._currency[rows[fresh]] = np.repeat(batch.entries["currency"], 2)[touched][fresh].view("S3")
            self._is_system[rows[fresh]] = [is_system(account_id) for account_id in ids[fresh].tolist()]
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


def _interleaved(debit: Column, credit: Column) -> Column:
    """Two places per entry (debit, credit), in ledger order."""
    return np.stack([debit, credit], axis=1).ravel()


def _total(values: NDArray[np.int64]) -> int:
    """Without the 64-bit limit: the halves of 32 bits are summed apart."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())
