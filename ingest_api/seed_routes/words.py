"""The status words of the source documents, from ours: the one table of them."""

from typing import Final, NamedTuple

from payments.items.details import OrderStatus
from payments.lifecycle import PaymentStatus


class Words(NamedTuple):
    """How documents 0, 1 and 4 call a status. Document 1's is the name of where a payment order stands."""

    wallet: str
    ecommerce: OrderStatus
    payment_service_api: str


_WAITING: Final = "waiting for verification"

WORDS: Final[dict[PaymentStatus, Words]] = {
    PaymentStatus.RECEIVED: Words(_WAITING, OrderStatus.NOT_STARTED, "pending"),
    PaymentStatus.AUTHORISED: Words(_WAITING, OrderStatus.EXECUTING, "processing"),
    PaymentStatus.IN_REVIEW: Words(_WAITING, OrderStatus.EXECUTING, "under_review"),
    PaymentStatus.POSTED: Words("accepted", OrderStatus.SUCCESS, "completed"),
    PaymentStatus.REJECTED: Words("declined", OrderStatus.FAILED, "failed"),
    PaymentStatus.RETURNED: Words("declined", OrderStatus.FAILED, "failed"),
}
