"""Balances of the ledger beside those of Postgres, account by account.

Keeps a mark per account and the first few differences. An account that one side alone has differs, also with a balance
of zero.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from millrace.audit.ledger.entry_batch import Column
from millrace.replay.balances import Balance, Balances
from payments.identifiers import ACCOUNT, format_id

DIFFERENCES_SHOWN = 10


class BalanceDiffers(NamedTuple):
    """One account; None where a side does not have it."""

    account: str
    ledger: Balance | None
    postgres: Balance | None

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        sides = {"ledger": self.ledger, "postgres": self.postgres}
        return {"account": self.account, **{name: side and side._asdict() for name, side in sides.items()}}


class Comparison(NamedTuple):
    """What was found. `first` is sorted by account and ends after DIFFERENCES_SHOWN."""

    accounts: int
    differing_accounts: int
    drift_minor: int
    """Sum of the absolute differences of posted and available, over all accounts and currencies."""

    first: list[BalanceDiffers]


NOTHING_COMPARED = Comparison(0, 0, 0, [])


def compare(balances: Balances, blocks: Iterable[Column]) -> Comparison:
    """Every account of either side."""
    is_shown = np.zeros(len(balances), np.bool_)
    found = NOTHING_COMPARED
    for block in blocks:
        account_ids = block["account_id"].tolist()
        rows = balances.find(account_ids)
        is_shown[rows[rows >= 0]] = True
        wrong = np.flatnonzero((rows < 0) | _differs(balances, rows, block))
        differing = [_difference(balances, account_ids[at], block[at]) for at in wrong]
        found = _with(found, len(block), differing)
    missing = (account_id for account_id, shown in zip(balances.ids(), is_shown, strict=True) if not shown)
    for account_id in missing:
        found = _with(found, 1, [BalanceDiffers(format_id(ACCOUNT, account_id), balances.of(account_id), None)])
    return found


def _differs(balances: Balances, rows: Column, block: Column) -> Column:
    currency, posted, available = balances.columns(rows)
    other = (currency != block["currency"].view("S3")) | (posted != block["posted_minor"])
    return np.asarray(other | (available != block["available_minor"]))


def _difference(balances: Balances, account_id: bytes, row: np.void) -> BalanceDiffers:
    shown = Balance(bytes(row["currency"]).decode("ascii"), int(row["posted_minor"]), int(row["available_minor"]))
    return BalanceDiffers(format_id(ACCOUNT, account_id), balances.of(account_id), shown)


def _with(found: Comparison, accounts: int, differing: list[BalanceDiffers]) -> Comparison:
    first = (
        sorted([*found.first, *differing], key=lambda one: one.account)[:DIFFERENCES_SHOWN]
        if differing
        else found.first
    )
    return Comparison(
        found.accounts + accounts,
        found.differing_accounts + len(differing),
        found.drift_minor + sum(map(_drift_minor, differing)),
        first,
    )


def _drift_minor(one: BalanceDiffers) -> int:
    _, posted, available = one.ledger or Balance("", 0, 0)
    _, shown_posted, shown_available = one.postgres or Balance("", 0, 0)
    return abs(posted - shown_posted) + abs(available - shown_available)
