"""The status words of the source documents, from ours: the one table of them."""

from typing import Final, NamedTuple

from payments.lifecycle import PaymentStatus


class Words(NamedTuple):
    """How documents 0, 1 and 4 call a status."""

    wallet: str
    ecommerce: str
    payment_service_api: str


_WAITING: Final = "waiting for verification"

WORDS: Final[dict[PaymentStatus, Words]] = {
    PaymentStatus.RECEIVED: Words(_WAITING, "NOT_STARTED", "pending"),
    PaymentStatus.AUTHORISED: Words(_WAITING, "EXECUTING", "processing"),
    PaymentStatus.IN_REVIEW: Words(_WAITING, "EXECUTING", "under_review"),
    PaymentStatus.POSTED: Words("accepted", "SUCCESS", "completed"),
    PaymentStatus.REJECTED: Words("declined", "FAILED", "failed"),
    PaymentStatus.RETURNED: Words("declined", "FAILED", "failed"),
}
