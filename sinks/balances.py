"""The table balances: running sums per account, the operator's own accounts included.

Reads the entries of a batch, adds up their effect per account in numpy (that of legs entry by entry, see
sinks.details.effects), and adds that to the rows in one statement, in order of the account ids (two writers then wait
for each other and never deadlock).
Guarantees: after each batch, a balance built from amounts equals the balance that the ledger states; the sink stops
where they differ.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from payments.entries import EntryKind
from payments.errors import InvariantViolation
from schemas.codec.fields import currency_bytes
from sinks.copy_rows import BIGINT, CURRENCY, ID, SMALLINT, TIME, Column, CopyTarget, currency_text, postgres_time
from sinks.details.effects import Effect, effects
from sinks.ledger_batch import LedgerBatch

_STAGING_TABLE: Final = """
CREATE TEMP TABLE balance_changes (
    account_id uuid, currency char(3), posted_delta_minor bigint, available_delta_minor bigint,
    is_stated smallint, stated_available_minor bigint, changed_at timestamptz
) ON COMMIT DELETE ROWS"""

BALANCE_CHANGES: Final = CopyTarget(
    "balance_changes",
    {
        "account_id": ID,
        "currency": CURRENCY,
        "posted_delta_minor": BIGINT,
        "available_delta_minor": BIGINT,
        "is_stated": SMALLINT,
        "stated_available_minor": BIGINT,
        "changed_at": TIME,
    },
)
_APPLY: Final = """
WITH applied AS (
    INSERT INTO balances AS held (account_id, currency, posted_minor, available_minor, changed_at)
    SELECT account_id, currency, posted_delta_minor, available_delta_minor, changed_at
    FROM balance_changes ORDER BY account_id
    ON CONFLICT (account_id) DO UPDATE SET
        posted_minor = held.posted_minor + EXCLUDED.posted_minor,
        available_minor = held.available_minor + EXCLUDED.available_minor,
        changed_at = greatest(held.changed_at, EXCLUDED.changed_at)
    RETURNING account_id, available_minor
)
SELECT account_id, available_minor, stated_available_minor
FROM applied JOIN balance_changes USING (account_id)
WHERE is_stated = 1 AND available_minor <> stated_available_minor
LIMIT 1"""


_POSTING: Final = (EntryKind.POSTED, EntryKind.RECEIVED, EntryKind.POSTED_UNCOLLECTED, EntryKind.DEBITED)
"""Dr debit_account, Cr credit_account, where no legs are stated."""

_LEG: Final = (EntryKind.LEG_RESERVED, EntryKind.LEG_SETTLED, EntryKind.LEG_RELEASED)
"""Of a debit, debit_account is the account and the other one nil; of a credit the other way round."""

_STATED_OF_DEBIT: Final = (
    EntryKind.RESERVED,
    EntryKind.RETURNED,
    EntryKind.HELD,
    EntryKind.HOLD_RAISED,
    EntryKind.CAPTURED,
    EntryKind.RELEASED,
    EntryKind.DEBITED,
    EntryKind.ACCOUNT_OPENED,
    *_LEG,
)
_STATED_OF_CREDIT: Final = (
    EntryKind.POSTED,
    EntryKind.RECEIVED,
    EntryKind.POSTED_UNCOLLECTED,
    EntryKind.COLLECTED,
    *_LEG,
)


def _factors(of: dict[EntryKind, int]) -> NDArray[np.int64]:
    """What a kind does to an available balance, as a factor of its amount: one look-up per entry."""
    return np.array([of.get(kind, 0) for kind in EntryKind], np.int64)


_DEBIT_AVAILABLE: Final = _factors(
    {
        EntryKind.RESERVED: -1,
        EntryKind.RETURNED: 1,
        EntryKind.HELD: -1,
        EntryKind.HOLD_RAISED: -1,
        EntryKind.RELEASED: 1,
        EntryKind.DEBITED: -1,
        EntryKind.LEG_RESERVED: -1,
        EntryKind.LEG_RELEASED: 1,
    }
)
_CREDIT_AVAILABLE: Final = _factors(
    {
        EntryKind.POSTED: 1,
        EntryKind.RECEIVED: 1,
        EntryKind.COLLECTED: 1,
        EntryKind.DEBITED: 1,
        EntryKind.LEG_SETTLED: 1,
    }
)


class Changes(NamedTuple):
    """The effect of entries on accounts, in ledger order. `at` is the index of the entry in the batch."""

    at: NDArray[np.int64]
    account: Column
    currency: Column
    posted_delta_minor: NDArray[np.int64]
    available_delta_minor: NDArray[np.int64]
    is_stated: NDArray[np.bool_]
    stated_available_minor: NDArray[np.int64]
    decided_at_us: NDArray[np.int64]


def prepare_session(connection: Connection) -> None:
    """What `apply_balances` needs once per connection: making the table per batch would bloat the catalogue."""
    connection.execute(_STAGING_TABLE)
    # The planner takes the staging table for empty and would loop over it per row: 690 µs a payment instead of 12.
    connection.execute("SET enable_nestloop = off")
    connection.commit()


def apply_balances(connection: Connection, changes: Changes) -> None:
    """Add a batch to the balances. Raises InvariantViolation where a sum contradicts the ledger or overflows."""
    if not len(changes.account):
        return
    BALANCE_CHANGES.send(connection, change_rows(changes))
    wrong = connection.execute(_APPLY).fetchone()
    if wrong is not None:
        account, available_minor, stated_minor = wrong
        raise InvariantViolation(
            f"available balance of account {account}: {available_minor} by its entries, {stated_minor} by the ledger"
        )


def changes_of(batch: LedgerBatch, restored: Mapping[int, int]) -> Changes:
    """Every change or statement of a balance, in ledger order. `restored`: what final captures give back, by index in
    the batch.
    """
    by_details = effects(batch, restored)
    plain = _plain_changes(batch, {effect.at for effect in by_details})
    if not by_details:
        return plain
    whole = [np.concatenate(pair) for pair in zip(plain, _detailed_changes(batch, by_details), strict=True)]
    order = np.argsort(whole[0], kind="stable")
    return Changes(*(column[order] for column in whole))


def _plain_changes(batch: LedgerBatch, excepted: Collection[int]) -> Changes:
    """Of entries that their fixed fields tell, two places each (debit, credit)."""
    entries, posts = batch.entries, batch.is_any(*_POSTING)
    told = np.ones(batch.entry_count, bool)
    told[list(excepted)] = False
    amount = entries["amount_minor"].astype(np.int64)
    # A system account has nothing reserved: what is available there moves with what is posted.
    debit_available = (_DEBIT_AVAILABLE[batch.kinds] - (posts & batch.debit_is_system)) * amount
    debit_states, credit_states = batch.is_any(*_STATED_OF_DEBIT), batch.is_any(*_STATED_OF_CREDIT)
    debit_touched = told & (posts | debit_states) & ~batch.debit_is_nil
    credit_touched = told & (posts | credit_states) & ~batch.credit_is_nil
    touched = np.stack([debit_touched, credit_touched], axis=1).ravel()

    def both(debit: Column, credit: Column) -> Column:
        return np.stack([debit, credit], axis=1).ravel()[touched]

    at, stated = np.arange(batch.entry_count), entries["available_after_minor"].astype(np.int64)
    return Changes(
        both(at, at),
        both(_sortable(entries["debit_account"]), _sortable(entries["credit_account"])),
        both(entries["currency"], entries["currency"]),
        both(-amount * posts, amount * posts),
        both(debit_available, _CREDIT_AVAILABLE[batch.kinds] * amount),
        both(debit_states, credit_states & ~batch.credit_is_system),
        both(stated, stated),
        both(entries["decided_at_us"], entries["decided_at_us"]),
    )


def _detailed_changes(batch: LedgerBatch, found: Sequence[Effect]) -> Changes:
    at = np.array([effect.at for effect in found])
    entries = batch.entries[at]
    return Changes(
        at,
        np.array([effect.account for effect in found], "S16"),
        np.array([currency_bytes(effect.currency) for effect in found], "S3").view("V3"),
        np.array([effect.posted_delta_minor for effect in found], np.int64),
        np.array([effect.available_delta_minor for effect in found], np.int64),
        np.array([effect.is_stated for effect in found], bool),
        entries["available_after_minor"].astype(np.int64),
        entries["decided_at_us"],
    )


def _sortable(ids: Column) -> Column:
    """Ids as byte strings, which numpy compares as Postgres does uuids; blobs it cannot sort at all."""
    return np.ascontiguousarray(ids).view("S16")


def change_rows(changes: Changes) -> Column:
    """One COPY row per account, in order of the account ids."""
    order = np.argsort(changes.account, kind="stable")
    account = changes.account[order]
    starts = np.flatnonzero(np.concatenate(([True], account[1:] != account[:-1])))
    stated_at = np.where(changes.is_stated[order], np.arange(len(order)), -1)
    last_stated = np.maximum.reduceat(stated_at, starts)
    return BALANCE_CHANGES.rows(
        {
            "account_id": account[starts].view("V16"),
            "currency": currency_text(changes.currency[order][starts]),
            "posted_delta_minor": exact_sums(changes.posted_delta_minor[order], starts),
            "available_delta_minor": exact_sums(changes.available_delta_minor[order], starts),
            "is_stated": last_stated >= 0,
            "stated_available_minor": changes.stated_available_minor[order][last_stated],
            "changed_at": postgres_time(np.maximum.reduceat(changes.decided_at_us[order], starts)),
        }
    )


def exact_sums(values: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of each run of values. Raises InvariantViolation where one leaves 64 bits, instead of wrapping round.

    The halves of 32 bits are summed apart: 2³¹ values of 2³² still fit.
    """
    low = np.add.reduceat(values & 0xFFFFFFFF, starts)
    high = np.add.reduceat(values >> 32, starts) + (low >> 32)
    if ((high >= 1 << 31) | (high < -(1 << 31))).any():
        raise InvariantViolation("a batch changes one balance by more than 64 bits hold")
    sums: NDArray[np.int64] = (high << 32) | (low & 0xFFFFFFFF)
    return sums
