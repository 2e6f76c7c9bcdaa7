"""Refunds: a merchant gives back part or all of a payment. Decided where the merchant is.

Guarantees: what is refunded and what is disputed never exceed the payment together, whatever runs side by side,
because both are decided by the one shard that remembers the payment.
"""

from typing import NamedTuple

from payments.book import Book, receipt_fingerprint
from payments.entries import Credit, EntryKind, Source
from payments.items.details import Cause, CauseKind, GivenBack
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


def refund(book: Book, _operation_id: bytes, asked: Refund, _source: Source) -> Deed | Reason:
    """Send part or all of the payment back to its payer. Voluntary: the merchant must have it."""
    before = given_back(book, asked.payment_id, paid_of(asked), asked.amount_minor)
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


def given_back(book: Book, payment_id: bytes, paid: Paid, amount_minor: int) -> GivenBack | Reason:
    """What was given back of a payment so far, or why this amount of it can't be."""
    if amount_minor <= 0:
        return Reason.AMOUNT_INVALID
    if book.receipts.fingerprint_of(payment_id) != receipt_fingerprint(*paid):
        return Reason.PAYMENT_NOT_REFUNDABLE
    found = book.items.find(GivenBack, paid.payee, payment_id)
    given = (found.refunded_minor, found.disputed_minor) if found is not None else (0, 0)
    so_far = GivenBack(payment_id, paid.payee, paid.amount_minor, *given)
    if so_far.refunded_minor + so_far.disputed_minor + amount_minor > so_far.amount_minor:
        return Reason.REFUND_EXCEEDS_PAYMENT
    return so_far


def refund_undone(book: Book, credit: Credit) -> tuple[GivenBack, ...]:
    """The item after a refund that its receiver could not take; () where the credit was no refund."""
    for detail in credit.details:
        if isinstance(detail, Cause) and detail.kind is CauseKind.REFUND:
            found = book.items.find(GivenBack, credit.payer, detail.cause_id)
            assert found is not None, "a refund came back of a payment that was never refunded"
            return (found._replace(refunded_minor=found.refunded_minor - credit.amount_minor),)
    return ()
