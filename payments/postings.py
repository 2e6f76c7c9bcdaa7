"""Double entry: which kind of movement debits and credits what, as data, and the two legs of a journal entry.

Customer accounts are liabilities of the operator, so a credit raises and a debit lowers the customer's balance.
"""

from enum import IntEnum
from typing import NamedTuple

from payments.commands import CommandKind
from payments.entries import Entry, EntryKind
from payments.identifiers import system_account
from payments.money import EXPONENTS


class SystemAccount(IntEnum):
    """Codes of the operator's own accounts, one per currency each. Append only: the code is in the id."""

    CASH_CLEARING = 1
    """Cash paid in and not yet matched with the vault."""


class Movement(NamedTuple):
    """One row of the table of movements: who decides, where it is posted, and the two sides."""

    authority: str
    posting_shard: str
    debit: str
    credit: str


MOVEMENTS: dict[CommandKind, Movement] = {
    CommandKind.TRANSFER: Movement("payer", "payee (payer where the payee is a system account)", "payer", "payee"),
    CommandKind.DEPOSIT: Movement("payee", "payee", "clearing account of the method", "payee"),
}


class Posting(NamedTuple):
    """One leg: credits are positive, debits negative."""

    account: bytes
    amount_minor: int
    currency: str


def postings(entry: Entry) -> tuple[Posting, ...]:
    """The balanced legs of an entry; only journal entries have any."""
    if entry.kind is not EntryKind.POSTED:
        return ()
    return (
        Posting(entry.debit_account, -entry.amount_minor, entry.currency),
        Posting(entry.credit_account, entry.amount_minor, entry.currency),
    )


SYSTEM_CURRENCIES: dict[bytes, str] = {
    system_account(code, currency): currency for code in SystemAccount for currency in EXPONENTS
}
"""Every account of the operator, with its currency. Other ids of that form are accounts of nobody."""


def clearing_account(currency: str) -> bytes:
    """Where a cash deposit is debited."""
    return system_account(SystemAccount.CASH_CLEARING, currency)
