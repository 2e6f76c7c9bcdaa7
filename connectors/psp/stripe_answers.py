"""What Stripe's objects and errors mean, in the words of the contract. Pure: plain dictionaries and exceptions in."""

from collections.abc import Mapping
from typing import Any, Final

import httpx
import stripe

from connectors.contract import Answer, ProviderRefusesUs, failed, unanswered, without_trace
from connectors.psp.stripe_amounts import from_stripe
from schemas.codec.connectors import ConnectorOperation, Decline, Outcome

StripeFields = Mapping[str, Any]

_DECLINES: Final[Mapping[Decline, str]] = {
    Decline.INSUFFICIENT_FUNDS: "insufficient_funds balance_insufficient",
    Decline.CARD_EXPIRED: "expired_card",
    Decline.CARD_DETAILS_WRONG: (
        "incorrect_number invalid_number incorrect_cvc invalid_cvc incorrect_zip incorrect_address invalid_expiry_month"
        " invalid_expiry_year invalid_account new_account_information_available incorrect_pin invalid_pin"
    ),
    Decline.CARD_LOST_OR_STOLEN: "lost_card stolen_card pickup_card restricted_card",
    Decline.CARD_NOT_SUPPORTED: (
        "card_not_supported currency_not_supported service_not_allowed transaction_not_allowed not_permitted"
        " testmode_decline"
    ),
    Decline.LIMIT_EXCEEDED: "card_velocity_exceeded withdrawal_count_limit_exceeded pin_try_exceeded invalid_amount",
    Decline.FRAUD_SUSPECTED: "fraudulent merchant_blacklist security_violation",
    Decline.AUTHENTICATION_REQUIRED: (
        "authentication_required authentication_not_handled mobile_device_authentication_required offline_pin_required"
        " online_or_offline_pin_required payment_intent_authentication_failure"
    ),
    Decline.PROVIDER_FAULT: "processing_error issuer_not_available reenter_transaction try_again_later approve_with_id",
    Decline.AMOUNT_EXCEEDED: "charge_already_refunded",
    Decline.WRONG_STATE: (
        "payment_intent_unexpected_state charge_already_captured charge_expired_for_capture charge_disputed"
        " charge_not_refundable capture_charge_authorization_expired"
    ),
    Decline.REFERENCE_UNKNOWN: "resource_missing",
    Decline.AMOUNT_UNSUPPORTED: (
        "amount_too_small amount_too_large invalid_charge_amount invalid_charge_amount_no_decimal_compatible"
        " parameter_invalid_integer"
    ),
}
DECLINE_OF_CODE: Final[Mapping[str, Decline]] = {
    code: decline for decline, codes in _DECLINES.items() for code in codes.split()
}
"""Stripe's decline codes (of the issuer) and error codes (of Stripe) that have a word of ours. Sources:
docs.stripe.com/declines/codes, docs.stripe.com/error-codes. Any other: card_declined where a card was declined, else
request_refused."""

_CAPTURED: Final = frozenset({"succeeded"})
_DONE_BY: Final[Mapping[ConnectorOperation, frozenset[str]]] = {
    ConnectorOperation.AUTHORISE: frozenset({"requires_capture", "succeeded"}),
    ConnectorOperation.CHARGE: _CAPTURED,
    ConnectorOperation.CAPTURE: _CAPTURED,
    ConnectorOperation.VOID: frozenset({"canceled"}),
    ConnectorOperation.INQUIRE: frozenset({"requires_capture", "succeeded"}),
}
"""Operation on a PaymentIntent → the statuses that say it was done."""

_FINAL: Final = frozenset({"succeeded", "canceled"})

ACTION_URL_CHARS_MAX: Final = 2_048
"""Stripe's have about 200."""

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Before the first byte left."""


def answer_of_intent(intent: StripeFields, operation: ConnectorOperation, amount: int | None = None) -> Answer:
    """A PaymentIntent, seen by an operation that wanted something of it: for a capture, this amount."""
    status, reference = intent["status"], intent["id"]
    if amount is not None and status == "succeeded" and intent["amount_received"] != amount:
        return failed(Decline.WRONG_STATE, "captured_otherwise", reference)
    if status in _DONE_BY[operation]:
        return _moved(_with_fee(Answer(Outcome.SUCCEEDED, reference), intent), intent, "amount_received")
    if status == "processing":
        return Answer(Outcome.PENDING, reference)
    if status in {"requires_action", "requires_confirmation"}:
        return Answer(Outcome.REQUIRES_ACTION, reference, action_url=_action_url(intent))
    if status == "requires_capture":  # captured or voided it is not; that may be on its way
        return without_trace()._replace(provider_reference=reference)
    if status == "requires_payment_method":
        return _declined(intent.get("last_payment_error") or {}, reference)
    if status in _FINAL:
        return failed(Decline.WRONG_STATE, status, reference)
    return unreadable(status, reference)


def answer_of_movement(movement: StripeFields) -> Answer:
    """A refund, payout or transfer. Transfers carry no status: they are done or refused at once."""
    status, reference = movement.get("status", "succeeded"), movement["id"]
    if status in {"succeeded", "paid"}:
        return _moved(_with_own_fee(Answer(Outcome.SUCCEEDED, reference), movement), movement, "amount")
    if status in {"pending", "in_transit"}:
        return Answer(Outcome.PENDING, reference)
    if status == "requires_action":
        return Answer(Outcome.REQUIRES_ACTION, reference)
    if status in {"failed", "canceled"}:
        code = movement.get("failure_code") or movement.get("failure_reason") or status
        return failed(DECLINE_OF_CODE.get(code, Decline.REQUEST_REFUSED), code, reference)
    return unreadable(status, reference)


def _moved(answer: Answer, found: StripeFields, field: str) -> Answer:
    currency = str(found.get("currency", "")).upper()
    moved_minor = from_stripe(found[field], currency) if field in found else None
    return answer if moved_minor is None else answer._replace(moved_minor=moved_minor, moved_currency=currency)


def unreadable(what: str, reference: str = "") -> Answer:
    """Stripe says something that this release does not know: a later attempt asks again."""
    return Answer(Outcome.UNKNOWN, reference, provider_code=f"unreadable: {what}")


def answer_of_error(error: stripe.StripeError) -> Answer:
    """A refusal, or trouble of which nobody knows what it hides. Raises ProviderRefusesUs.

    FAILED is only what the same key would be answered again: a repetition that is refused for another reason than the
    first sending says nothing about the first.
    """
    if isinstance(error, stripe.AuthenticationError):
        raise ProviderRefusesUs(
            f"Stripe refuses the key (HTTP {error.http_status}): correct the file of MILLRACE_STRIPE_API_KEY_FILE"
        ) from error
    if isinstance(error, stripe.APIConnectionError):
        return unanswered("not_sent" if isinstance(error.__cause__, _NOT_SENT) else "no_answer")
    if (
        isinstance(error, stripe.RateLimitError) or error.http_status == 409
    ):  # another call holds the key, or the object
        return unanswered(error.code or f"http_{error.http_status}")
    if isinstance(error, stripe.CardError):
        return _declined(_fields_of(error), _intent_of(error))
    if isinstance(error, stripe.IdempotencyError):
        return unanswered("idempotency_error", Decline.IDEMPOTENCY_KEY_REUSED)
    if isinstance(error, stripe.InvalidRequestError):
        return failed(_refusal(error), error.code or "invalid_request_error")
    return unanswered(f"http_{error.http_status}")


def _refusal(error: stripe.InvalidRequestError) -> Decline:
    """More than is left carries no code for a refund, and one of a charge for a capture: the parameter tells."""
    if error.param == "amount_to_capture" or (error.param == "amount" and error.code is None):
        return Decline.AMOUNT_EXCEEDED
    return DECLINE_OF_CODE.get(error.code or "", Decline.REQUEST_REFUSED)


def _action_url(intent: StripeFields) -> str:
    """Where the payer acts. Without a return_url there is no page: Stripe's own script acts in the shop's."""
    action = intent.get("next_action") or {}
    url = str((action.get("redirect_to_url") or {}).get("url") or "")
    return url if url.startswith(("https://", "http://")) and len(url) <= ACTION_URL_CHARS_MAX else ""


def _declined(error: StripeFields, reference: str) -> Answer:
    code = error.get("decline_code") or error.get("code") or "card_declined"
    return failed(DECLINE_OF_CODE.get(code, Decline.CARD_DECLINED), code, reference)


def _fields_of(error: stripe.StripeError) -> StripeFields:
    body = error.json_body
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def _intent_of(error: stripe.StripeError) -> str:
    intent = _fields_of(error).get("payment_intent") or {}
    return str(intent.get("id", ""))


def _with_fee(answer: Answer, intent: StripeFields) -> Answer:
    """The fee stands in the charge's balance transaction, where it was asked for and the money was taken."""
    charge = intent.get("latest_charge")
    return _with_own_fee(answer, charge) if isinstance(charge, Mapping) else answer


def _with_own_fee(answer: Answer, movement: StripeFields) -> Answer:
    transaction = movement.get("balance_transaction")
    if not isinstance(transaction, Mapping):
        return answer
    currency = str(transaction["currency"]).upper()
    fee_minor = from_stripe(transaction["fee"], currency)
    return answer if fee_minor is None else answer._replace(fee_minor=fee_minor, fee_currency=currency)
