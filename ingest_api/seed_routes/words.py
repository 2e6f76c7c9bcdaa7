"""The status words of the source documents, from ours: the one table of them."""

from typing import Final, NamedTuple

from payments.items.details import OrderStatus
from payments.lifecycle import PaymentStatus
from payments.rejections import Reason


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

_CALLED_OFF: Final = frozenset({Reason.REVIEW_DECLINED, Reason.REVIEW_EXPIRED})
"""Of what waited for people, and was given up before anything moved. All else that comes to nothing has failed."""


def transfer_word(status: PaymentStatus, reason: str | None) -> str:
    """Document 4's word for a transfer."""
    return "cancelled" if reason in _CALLED_OFF else WORDS[status].payment_service_api
