"""Double entry: which kind of movement debits and credits what, as data, and the two legs of a journal entry.

Customer accounts are liabilities of the operator, so a credit raises and a debit lowers the customer's balance.
"""

from collections import Counter
from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from payments.commands import CommandKind
from payments.entries import Entry, EntryKind
from payments.identifiers import system_account
from payments.items.details import Detail, Legs
from payments.items.details import Posting as Posting
from payments.money import EXPONENTS


class SystemAccount(IntEnum):
    """Codes of the operator's own accounts, one per currency each. Append only: the code is in the id."""

    CASH_CLEARING = 1
    """Cash paid in and not yet matched with the vault."""
    CHECK_CLEARING = 2
    PAYROLL_CLEARING = 3
    PAYPAL_CLEARING = 4
    ZELLE_CLEARING = 5
    DIRECT_DEBIT_CLEARING = 6
    WIRE_CLEARING = 7
    PRE_AUTHORISED_CLEARING = 8
    THIRD_PARTY_CLEARING = 9
    MONEY_ORDER_CLEARING = 10
    CARD_CLEARING = 11
    """What a PSP has taken from cards and not yet settled."""
    FEES = 12
    """Income: what the operator charges."""
    FX_POSITION = 13
    """One per currency: what was bought and sold, until it is squared."""
    FX_GAIN_LOSS = 14
    DISPUTES = 15
    """Contested amounts until they are won or lost."""
    RECEIVABLES = 16
    """What customers owe: an asset, so it is debited when a debt arises."""
    LOSSES = 17
    """Receivables written off."""
    UNCLAIMED = 18
    """Credits of the operator that no account could take: unclaimed property."""
    SUSPENSE = 19
    STRIPE_CLEARING = 20
    """What the provider has taken for us, less what it gave back and paid out, until it settles."""
    BANK_CLEARING = 21
    """What banks have collected for us over their APIs, less what they sent, until their statements show it."""
    PROVIDER_FEES = 22
    """Expense: what providers keep for processing."""


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


JOURNAL_ENTRIES: Final = frozenset(
    {EntryKind.POSTED, EntryKind.RECEIVED, EntryKind.POSTED_UNCOLLECTED, EntryKind.DEBITED, EntryKind.JOURNAL_POSTED}
)
"""The kinds of entries that post."""


def postings(entry: Entry) -> tuple[Posting, ...]:
    """The balanced legs of an entry; only journal entries have any."""
    if entry.kind not in JOURNAL_ENTRIES:
        return ()
    return legs_of(entry.details) or (
        Posting(entry.debit_account, -entry.amount_minor, entry.currency),
        Posting(entry.credit_account, entry.amount_minor, entry.currency),
    )


def is_balanced(legs: Iterable[Posting]) -> bool:
    """Whether the legs sum to zero in every currency."""
    sums: Counter[str] = Counter()
    for leg in legs:
        sums[leg.currency] += leg.amount_minor
    return not any(sums.values())


def legs_of(details: tuple[Detail, ...]) -> tuple[Posting, ...]:
    """The legs that a detail states; () where the two of the fixed fields stand."""
    return next((detail.legs for detail in details if isinstance(detail, Legs)), ())


SYSTEM_CURRENCIES: dict[bytes, str] = {
    system_account(code, currency): currency for code in SystemAccount for currency in EXPONENTS
}
"""Every account of the operator, with its currency. Other ids of that form are accounts of nobody."""


def clearing_account(currency: str) -> bytes:
    """Where a cash deposit is debited."""
    return system_account(SystemAccount.CASH_CLEARING, currency)
