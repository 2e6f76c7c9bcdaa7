"""Deposits that wait for their collection, and deposits that come back. Decided where the account is."""

from payments.book import Book, receipt_fingerprint
from payments.entries import EntryKind, Source
from payments.items.details import Cause, CauseKind, GivenBack, Posting, Uncollected
from payments.items.endings import kept_until_us
from payments.movements.deeds import Deed, available_of, debit_involuntarily
from payments.movements.instructions import ClearDeposit, ReturnDeposit
from payments.rejections import Reason
from payments.terms.methods import METHOD_OF, TERMS


def clear(book: Book, _operation_id: bytes, asked: ClearDeposit, _source: Source) -> Deed | Reason:
    """The drawee has paid: the amount is available."""
    deposit = book.items.find(Uncollected, asked.account, asked.deposit_id)
    if deposit is None:
        return Reason.DEPOSIT_NOT_FOUND
    details = (Cause(CauseKind.DEPOSIT, asked.deposit_id), deposit._replace(is_open=False))
    available = available_of(book, asked.account) + deposit.amount_minor
    # The credit is what becomes available; nothing is posted, so there is no debit.
    return Deed(
        EntryKind.COLLECTED,
        asked.account,
        asked.account,
        deposit.amount_minor,
        deposit.currency,
        available,
        details,
    )


def uncollected_moved(waiting: Uncollected | None, amount_minor: int, refunding_minor: int) -> tuple[Uncollected, ...]:
    """What is not available yet, after a refund or dispute of it began or ended; () where nothing of it moved.

    It ends when nothing of it is left and none can come back.
    """
    if waiting is None or not (amount_minor or refunding_minor):
        return ()
    left_minor, refunding_minor = waiting.amount_minor + amount_minor, waiting.refunding_minor + refunding_minor
    is_open = left_minor + refunding_minor > 0
    return (waiting._replace(amount_minor=left_minor, refunding_minor=refunding_minor, is_open=is_open),)


def send_back(book: Book, operation_id: bytes, asked: ReturnDeposit, source: Source) -> Deed | Reason:
    """The bank returns the deposit: from what is not available yet, else from the account whatever is there."""
    method = METHOD_OF.get(asked.clearing_account)
    if method is None or TERMS[method].return_codes.fullmatch(asked.code) is None:
        return Reason.RETURN_CODE_UNKNOWN
    cause = Cause(CauseKind.DEPOSIT, asked.deposit_id, asked.code)
    paid_in = asked.clearing_account, asked.account, asked.amount_minor, asked.currency
    if book.receipts.fingerprint_of(asked.deposit_id) != receipt_fingerprint(*paid_in):
        return Reason.DEPOSIT_NOT_FOUND
    before = book.items.find(GivenBack, asked.account, asked.deposit_id)
    if before is not None and before.refunded_minor + before.disputed_minor:  # 0 after a dispute that was won
        return Reason.REFUND_EXCEEDS_PAYMENT
    ends_at_us = kept_until_us(source.time_us)
    given_back = GivenBack(
        asked.deposit_id, asked.account, asked.amount_minor, asked.amount_minor, 0, ends_at_us=ends_at_us
    )
    deposit = book.items.find(Uncollected, asked.account, asked.deposit_id)
    if deposit is None:
        credit = Posting(asked.clearing_account, asked.amount_minor, asked.currency)
        return debit_involuntarily(book, operation_id, asked.account, (credit,), (cause, given_back))
    return Deed(
        EntryKind.DEBITED,
        asked.account,
        asked.clearing_account,
        asked.amount_minor,
        asked.currency,
        available_of(book, asked.account),
        (cause, given_back, deposit._replace(is_open=False)),
    )
