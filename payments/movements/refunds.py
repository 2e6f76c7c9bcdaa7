"""Refunds: a merchant gives back part or all of a payment. Decided where the merchant is.

Guarantees: what is refunded and what is disputed never exceed the payment together, whatever runs side by side,
because both are decided by the one shard that remembers the payment.
"""

from typing import NamedTuple

from payments.book import Book, receipt_fingerprint
from payments.entries import Credit, EntryKind, Source
from payments.items.details import Cause, CauseKind, GivenBack
from payments.items.endings import GRACE_US, kept_until_us
from payments.movements.deeds import Deed, available_of
from payments.movements.instructions import Refund
from payments.refusals import transfer_refusal
from payments.rejections import Reason


class Paid(NamedTuple):
    """What a refund has to state of its payment."""

    payer: bytes
    payee: bytes
    amount_minor: int
    currency: str


def refund(book: Book, _operation_id: bytes, asked: Refund, source: Source) -> Deed | Reason:
    """Send part or all of the payment back to its payer. Voluntary: the merchant must have it."""
    before = given_back(book, asked.payment_id, paid_of(asked), asked.amount_minor, source.time_us)
    if isinstance(before, Reason):
        return before
    refusal = transfer_refusal(book, asked.merchant, asked.customer, asked.amount_minor, asked.currency)
    if refusal is not None:
        return refusal
    after = before._replace(refunded_minor=before.refunded_minor + asked.amount_minor)
    available = available_of(book, asked.merchant) - asked.amount_minor
    return Deed(
        EntryKind.RESERVED,
        asked.merchant,
        asked.customer,
        asked.amount_minor,
        asked.currency,
        available,
        (Cause(CauseKind.REFUND, asked.payment_id), after),
    )


def paid_of(asked: Refund) -> Paid:
    """The payment as a refund states it."""
    return Paid(asked.customer, asked.merchant, asked.payment_amount_minor, asked.currency)


def given_back(book: Book, payment_id: bytes, paid: Paid, amount_minor: int, now_us: int) -> GivenBack | Reason:
    """What was given back of a payment so far, kept from now on, or why this amount of it can't be."""
    if amount_minor <= 0:
        return Reason.AMOUNT_INVALID
    if book.receipts.fingerprint_of(payment_id) != receipt_fingerprint(*paid):
        return Reason.PAYMENT_NOT_REFUNDABLE
    found = book.items.find(GivenBack, paid.payee, payment_id)
    so_far = GivenBack(payment_id, paid.payee, paid.amount_minor, 0, 0) if found is None else found
    so_far = so_far._replace(amount_minor=paid.amount_minor, ends_at_us=kept_until_us(now_us))
    if so_far.refunded_minor + so_far.disputed_minor + amount_minor > so_far.amount_minor:
        return Reason.REFUND_EXCEEDS_PAYMENT
    return so_far


def refund_undone(book: Book, credit: Credit) -> tuple[GivenBack, ...]:
    """The item after a refund that its receiver could not take; () where the credit was no refund."""
    for detail in credit.details:
        if isinstance(detail, Cause) and detail.kind is CauseKind.REFUND:
            found = book.items.find(GivenBack, credit.payer, detail.cause_id)
            if found is not None:  # else so late that nothing of the payment can be refunded any more
                return (found._replace(refunded_minor=found.refunded_minor - credit.amount_minor),)
    return ()


def given_back_ended(book: Book, given: GivenBack, source: Source) -> Deed:
    """Forgotten when the receipt is, so that nothing of the payment can be given back any more, and nothing that was
    is still open; else looked at again.
    """
    is_over = given.under_way <= 0 and book.receipts.fingerprint_of(given.item_id) is None
    after = given._replace(is_open=False) if is_over else given._replace(ends_at_us=source.time_us + GRACE_US)
    return Deed(EntryKind.NOTED, given.owner, details=(after,))
