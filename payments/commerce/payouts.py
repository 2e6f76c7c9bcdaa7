"""Payouts: money of an account to a bank account outside. Decided where the account is.

A journal (Dr account, Cr the provider's clearing account): the amount is reserved, the provider is asked, and it is
posted or the account's again.
"""

from payments.book import Book
from payments.commerce.connector import ConnectorOperation
from payments.commerce.requests import journal_of
from payments.entries import EntryKind, Source
from payments.identifiers import NIL, PAYMENT, format_id
from payments.items.details import ProviderRequest
from payments.movements import journals
from payments.movements.deeds import Deed
from payments.movements.instructions import PayOut
from payments.refusals import transfer_refusal
from payments.rejections import Reason
from payments.terms.providers import clearing_of


def pay_out(book: Book, operation_id: bytes, asked: PayOut, _source: Source) -> Deed | Reason:
    """Reserve the amount and ask the provider."""
    clearing = clearing_of(asked.provider, asked.currency)
    if isinstance(clearing, Reason):
        return clearing
    refusal = transfer_refusal(book, asked.account, clearing, asked.amount_minor, asked.currency)
    if refusal is not None:
        return refusal
    text = format_id(PAYMENT, operation_id)
    request = ProviderRequest(
        operation_id,
        asked.account,
        asked.provider,
        ConnectorOperation.PAYOUT,
        NIL,
        text,
        asked.amount_minor,
        asked.currency,
        text,
        asked.token,
    )
    journal = journal_of(request, asked.account, clearing, asked.envelope.reply_to)
    return journals.deed(EntryKind.JOURNAL_OPENED, journal, (), outside=(request,))
