"""Accounts of a type, and their standing: frozen for debits only or for both, dormant, open again."""

from payments.accounts import AccountStatus
from payments.book import Book
from payments.entries import EntryKind, Source
from payments.items.details import Opening
from payments.movements.deeds import Deed, available_of
from payments.movements.instructions import OpenAccount, SetStanding
from payments.refusals import opening_refusal
from payments.rejections import Reason


def open_account(book: Book, _operation_id: bytes, asked: OpenAccount, _source: Source) -> Deed | Reason:
    """Open an account of a type, with its overdraft limit."""
    refusal = opening_refusal(book, asked.account, asked.currency, asked.overdraft_limit_minor)
    if refusal is not None:
        return refusal
    return Deed(
        EntryKind.ACCOUNT_OPENED,
        asked.account,
        amount_minor=asked.overdraft_limit_minor,
        currency=asked.currency,
        details=(Opening(asked.type),),
    )


def set_standing(book: Book, _operation_id: bytes, asked: SetStanding, _source: Source) -> Deed | Reason:
    """Any standing but closed, which has conditions and a command of its own."""
    account = book.accounts.get(asked.account)
    if account is None:
        return Reason.ACCOUNT_NOT_FOUND
    if account.status is AccountStatus.CLOSED:
        return Reason.ACCOUNT_CLOSED
    if asked.status is AccountStatus.CLOSED:
        return Reason.STANDING_INVALID
    available = available_of(book, asked.account)
    return Deed(EntryKind.STANDING_SET, asked.account, amount_minor=asked.status, available_after_minor=available)
