"""The test cards that Stripe documents, by the names of their PaymentMethods (`pm_card_…`) and tokens (`tok_…`).

Source: docs.stripe.com/testing. There are no card numbers here, and none is taken.
"""

from typing import Final, NamedTuple

from connectors.sandbox.refusal import Refused

BRANDS: Final = frozenset({"visa", "mastercard", "amex", "discover", "diners", "jcb", "unionpay"})


class Card(NamedTuple):
    """What happens when it is charged."""

    code: str = ""
    """The error; empty = it is charged."""

    decline_code: str = ""
    dispute_reason: str = ""
    requires_authentication: bool = False
    refund_status: str = "succeeded"


def _declined(decline_code: str) -> Card:
    return Card("card_declined", decline_code)


_CARDS: Final = {
    "bypassPending": Card(),
    "chargeDeclined": _declined("generic_decline"),
    "chargeDeclinedInsufficientFunds": _declined("insufficient_funds"),
    "chargeDeclinedLostCard": _declined("lost_card"),
    "chargeDeclinedStolenCard": _declined("stolen_card"),
    "chargeDeclinedFraudulent": _declined("fraudulent"),
    "chargeDeclinedVelocityLimitExceeded": _declined("card_velocity_exceeded"),
    "chargeCustomerFail": _declined("generic_decline"),
    "chargeDeclinedExpiredCard": Card("expired_card", "expired_card"),
    "chargeDeclinedIncorrectCvc": Card("incorrect_cvc", "incorrect_cvc"),
    "chargeDeclinedProcessingError": Card("processing_error", "processing_error"),
    "createDispute": Card(dispute_reason="fraudulent"),
    "createDisputeProductNotReceived": Card(dispute_reason="product_not_received"),
    "authenticationRequired": Card(requires_authentication=True),
    "threeDSecure2Required": Card(requires_authentication=True),
    "pendingRefund": Card(refund_status="pending"),
    "refundFail": Card(refund_status="failed"),
}


def card_of(name: str) -> Card:
    """`pm_card_visa`, `pm_card_chargeDeclined`, `pm_card_visa_chargeDeclined`, `tok_visa` … Raises Refused."""
    short = name.removeprefix("pm_card_").removeprefix("tok_")
    brand, _, rest = short.partition("_")
    if short != name and short in BRANDS:
        return Card()
    found = _CARDS.get(rest if brand in BRANDS else short)
    if short == name or found is None:
        raise Refused(
            400, "resource_missing", f"No such PaymentMethod: '{name}'", param="payment_method", is_saved=False
        )
    return found
