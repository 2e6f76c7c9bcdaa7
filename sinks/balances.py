"""The table balances: running sums per account, the operator's own accounts included.

Reads the entries of a batch, adds up their effect per account in numpy, and adds that to the rows in one statement, in
order of the account ids (two writers then wait for each other and never deadlock).
Guarantees: after each batch, a balance built from amounts equals the balance that the ledger states; the sink stops
where they differ.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from payments.entries import EntryKind
from payments.errors import InvariantViolation
from sinks.copy_rows import BIGINT, CURRENCY, ID, SMALLINT, TIME, Column, CopyTarget, currency_text, postgres_time
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


class Legs(NamedTuple):
    """The effect of entries on accounts, two places per entry (debit, credit), in ledger order."""

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


def apply_balances(connection: Connection, batch: LedgerBatch) -> None:
    """Add the batch to the balances. Raises InvariantViolation where a sum contradicts the ledger or overflows."""
    legs = legs_of(batch)
    if not len(legs.account):
        return
    BALANCE_CHANGES.send(connection, change_rows(legs))
    wrong = connection.execute(_APPLY).fetchone()
    if wrong is not None:
        account, available_minor, stated_minor = wrong
        raise InvariantViolation(
            f"available balance of account {account}: {available_minor} by its entries, {stated_minor} by the ledger"
        )


def legs_of(batch: LedgerBatch) -> Legs:
    """Both sides of every entry that changes a balance or states one."""
    entries, posted = batch.entries, batch.is_any(EntryKind.POSTED)
    reserved, returned = batch.is_any(EntryKind.RESERVED), batch.is_any(EntryKind.RETURNED)
    amount = entries["amount_minor"].astype(np.int64)
    debit_stated = reserved | returned | batch.is_any(EntryKind.ACCOUNT_OPENED)
    # A system account has nothing reserved: what is available there moves with what is posted.
    debit_available = (returned.astype(np.int64) - reserved - (posted & batch.debit_is_system)) * amount
    touched = np.stack([debit_stated | posted, posted], axis=1).ravel()

    def both(debit: Column, credit: Column) -> Column:
        return np.stack([debit, credit], axis=1).ravel()[touched]

    stated = entries["available_after_minor"].astype(np.int64)
    return Legs(
        both(_sortable(entries["debit_account"]), _sortable(entries["credit_account"])),
        both(entries["currency"], entries["currency"]),
        both(-amount * posted, amount * posted),
        both(debit_available, amount * posted),
        both(debit_stated, posted & ~batch.credit_is_system),
        both(stated, stated),
        both(entries["decided_at_us"], entries["decided_at_us"]),
    )


def _sortable(ids: Column) -> Column:
    """Ids as byte strings, which numpy compares as Postgres does uuids; blobs it cannot sort at all."""
    return np.ascontiguousarray(ids).view("S16")


def change_rows(legs: Legs) -> Column:
    """One COPY row per account, in order of the account ids."""
    order = np.argsort(legs.account, kind="stable")
    account = legs.account[order]
    starts = np.flatnonzero(np.concatenate(([True], account[1:] != account[:-1])))
    stated_at = np.where(legs.is_stated[order], np.arange(len(order)), -1)
    last_stated = np.maximum.reduceat(stated_at, starts)
    return BALANCE_CHANGES.rows(
        {
            "account_id": account[starts].view("V16"),
            "currency": currency_text(legs.currency[order][starts]),
            "posted_delta_minor": exact_sums(legs.posted_delta_minor[order], starts),
            "available_delta_minor": exact_sums(legs.available_delta_minor[order], starts),
            "is_stated": last_stated >= 0,
            "stated_available_minor": legs.stated_available_minor[order][last_stated],
            "changed_at": postgres_time(np.maximum.reduceat(legs.decided_at_us[order], starts)),
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
