"""What entries do to balances that their fixed fields do not say: legs, and what a final capture gives back.

One entry at a time, since each is of its own shape; all others are added up in numpy (sinks.balances).
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from payments.entries import Entry, EntryKind
from payments.identifiers import is_system
from payments.items.details import Dispute, Legs, Uncollected
from payments.postings import JOURNAL_ENTRIES, Posting, legs_of
from sinks.ledger_batch import LedgerBatch


class Effect(NamedTuple):
    """On one account, by the entry at this index of the batch."""

    at: int
    account: bytes
    currency: str
    posted_delta_minor: int
    available_delta_minor: int
    is_stated: bool
    """Whether the entry states the available balance of this account."""


def effects(batch: LedgerBatch, restored: Mapping[int, int]) -> list[Effect]:
    """Of every entry that can't be told by its fixed fields. `restored`: what final captures give back, by index."""
    found: list[Effect] = []
    for one in batch.detailed:
        at, entry = one.at, one.entry
        if at in restored:
            found.append(Effect(at, entry.debit_account, entry.currency, 0, restored[at], is_stated=True))
        elif entry.kind in JOURNAL_ENTRIES and any(isinstance(detail, Legs) for detail in entry.details):
            found += _of_legs(at, entry)
        elif entry.kind is EntryKind.DEBITED and any(isinstance(detail, Uncollected) for detail in entry.details):
            found += _of_uncollected(at, entry)
    return found


def _of_legs(at: int, entry: Entry) -> Iterator[Effect]:
    """A leg moves what is available of the account that the entry is about, and of accounts of the operator. Of others
    it had been reserved, or is settled when the journal's answer arrives.
    """
    about = _account_about(entry)
    for leg in legs_of(entry.details):
        available = leg.amount_minor if leg.account == about or is_system(leg.account) else 0
        if leg.account == about:
            available -= _of_dispute(entry, leg.amount_minor)
        yield Effect(at, leg.account, leg.currency, leg.amount_minor, available, is_stated=False)
    if about is not None and not is_system(about):
        yield Effect(at, about, entry.currency, 0, 0, is_stated=True)


def _of_dispute(entry: Entry, amount_minor: int) -> int:
    """How much of a leg at the merchant moves what is not available yet, in place of the available balance."""
    dispute = next((detail for detail in entry.details if isinstance(detail, Dispute)), None)
    if dispute is None or not any(isinstance(detail, Uncollected) for detail in entry.details):
        return 0
    return dispute.uncollected_minor if amount_minor > 0 else -dispute.uncollected_minor


def _account_about(entry: Entry) -> bytes | None:
    match entry.kind:
        case EntryKind.DEBITED:
            return entry.debit_account
        case EntryKind.JOURNAL_POSTED:
            return None
        case _:
            return entry.credit_account


def _of_uncollected(at: int, entry: Entry) -> Iterator[Effect]:
    """A deposit that comes back before it was available: posted, and nothing becomes less available."""
    for leg in (
        Posting(entry.debit_account, -entry.amount_minor, entry.currency),
        Posting(entry.credit_account, entry.amount_minor, entry.currency),
    ):
        operators = is_system(leg.account)
        available = leg.amount_minor if operators else 0
        yield Effect(at, leg.account, leg.currency, leg.amount_minor, available, is_stated=not operators)
