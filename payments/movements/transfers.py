"""Transfers whose legs are stated: with fees, or into another currency. Two hops, like the plain transfer, which may
come with attributes for the risk rules.

The payer's shard reserves what the payer is debited; the payee's shard posts all legs at once. Between the two stand
only accounts of the operator (fees, FX positions), which can't refuse. A withdrawal, to the clearing account of its
method, may have a fee; it is in the currency of its account.
"""

from payments.book import Book
from payments.entries import EntryKind, Source
from payments.identifiers import is_system
from payments.items.details import Legs
from payments.money import MAX_MINOR
from payments.movements.deeds import Deed, available_of
from payments.movements.instructions import AssessTransfer, AttributedTransfer, PricedTransfer
from payments.postings import SYSTEM_CURRENCIES, is_balanced
from payments.refusals import transfer_refusal
from payments.rejections import Reason
from payments.terms.methods import METHOD_OF

MAX_TRANSFER_LEGS = 8
"""Payer, payee, two fees, and the two legs of an exchange, with room for two more."""


def transfer(book: Book, _operation_id: bytes, asked: PricedTransfer, source: Source) -> Deed | Reason:
    """Reserve the payer's leg and send all legs to the payee."""
    if asked.valid_until_us and asked.valid_until_us <= source.time_us:
        return Reason.QUOTE_EXPIRED
    refusal = _legs_refusal(asked)
    if refusal is not None:
        return refusal
    debited = asked.headline
    refusal = transfer_refusal(book, asked.payer, asked.payee, debited.amount_minor, debited.currency)
    if refusal is not None:
        return refusal
    available = available_of(book, asked.payer) - debited.amount_minor
    return Deed(EntryKind.RESERVED, *debited, available, (Legs(asked.legs),))


def plain(
    book: Book, _operation_id: bytes, asked: AttributedTransfer | AssessTransfer, _source: Source
) -> Deed | Reason:
    """As the command that says the same (payments.lifecycle.decide)."""
    refusal = transfer_refusal(book, *asked.headline)
    if refusal is not None:
        return refusal
    available = available_of(book, asked.payer) - asked.amount_minor
    return Deed(EntryKind.RESERVED, *asked.headline, available)


def _legs_refusal(asked: PricedTransfer) -> Reason | None:
    """One debit of the payer, one credit of the payee or a method, and otherwise accounts of the operator."""
    if not 2 <= len(asked.legs) <= MAX_TRANSFER_LEGS:
        return Reason.LEGS_INVALID
    parties = [leg for leg in asked.legs if leg.account in (asked.payer, asked.payee)]
    is_withdrawal = asked.payee in METHOD_OF
    if [leg.account for leg in parties] != [asked.payer, asked.payee] or is_withdrawal is not is_system(asked.payee):
        return Reason.LEGS_INVALID
    if not parties[0].amount_minor < 0 < parties[1].amount_minor:
        return Reason.LEGS_INVALID
    customers = parties[:1] if is_withdrawal else parties
    for leg in asked.legs:
        if not 0 < abs(leg.amount_minor) <= MAX_MINOR:
            return Reason.AMOUNT_INVALID
        if leg not in customers and SYSTEM_CURRENCIES.get(leg.account) != leg.currency:
            return Reason.LEGS_INVALID
    return None if is_balanced(asked.legs) else Reason.JOURNAL_UNBALANCED
