"""PaymentIntents: create, confirm, authenticate, capture, cancel. Money is taken at most once."""

from typing import Any

from connectors.sandbox.account import StripeAccount
from connectors.sandbox.forms import positive, require
from connectors.sandbox.objects import charges
from connectors.sandbox.objects.balance import checked_amount, checked_currency
from connectors.sandbox.objects.cards import Card, card_of
from connectors.sandbox.refusal import JsonObject, Refused, invalid, wrong_state

_OF_PAYMENT = "payment_method payment_method_data payment_method_types"
CREATE_PARAMS = frozenset(
    f"amount currency capture_method confirm description metadata return_url {_OF_PAYMENT}".split()
)
AUTHENTICATION_PATH = "_sandbox/authentications"
CAPTURABLE, CANCELED, SUCCEEDED = "requires_capture", "canceled", "succeeded"
_FINAL = frozenset({CANCELED, SUCCEEDED})


def create(account: StripeAccount, params: JsonObject) -> JsonObject:
    """POST /v1/payment_intents. Raises Refused."""
    currency = checked_currency(str(require(params, "currency")))
    method = _method(params)
    intent = account.new(
        "payment_intent",
        "pi",
        amount=checked_amount(positive(params, "amount"), currency),
        amount_capturable=0,
        amount_received=0,
        canceled_at=None,
        capture_method=_choice(params, "capture_method", "automatic", "manual", "automatic_async"),
        confirmation_method="automatic",
        currency=currency,
        description=params.get("description"),
        last_payment_error=None,
        latest_charge=None,
        metadata=params.get("metadata", {}),
        next_action=None,
        payment_method=method or None,
        payment_method_types=params.get("payment_method_types", ["card"]),
        status="requires_confirmation" if method else "requires_payment_method",
    )
    account.save(intent)
    account.tell("payment_intent.created", intent)
    return _confirmed(account, intent, params) if params.get("confirm") == "true" else intent


def confirm(account: StripeAccount, params: JsonObject) -> JsonObject:
    """POST /v1/payment_intents/{id}/confirm. Raises Refused."""
    intent = account.get("payment_intent", params["id"])
    if intent["status"] not in {"requires_confirmation", "requires_payment_method", "requires_action"}:
        raise _unexpected(intent, "confirm")
    intent["payment_method"] = _method(params) or intent["payment_method"]
    return _confirmed(account, intent, params)


def authenticate(account: StripeAccount, intent_id: str, *, is_successful: bool) -> JsonObject:
    """What the payer does in 3-D Secure, outside of the API. Raises Refused."""
    intent = account.get("payment_intent", intent_id)
    if intent["status"] != "requires_action":
        raise _unexpected(intent, "authenticate")
    intent["next_action"] = None
    card = Card() if is_successful else Card("payment_intent_authentication_failure", "")
    try:
        return _charged(account, intent, card)
    except Refused:  # nobody waits for the answer: the intent and its events tell
        return account.get("payment_intent", intent_id)


def capture(account: StripeAccount, params: JsonObject) -> JsonObject:
    """POST /v1/payment_intents/{id}/capture, once. Raises Refused."""
    intent = account.get("payment_intent", params["id"])
    if intent["status"] != CAPTURABLE:
        raise _unexpected(intent, "capture")
    amount = positive(params, "amount_to_capture") if "amount_to_capture" in params else intent["amount_capturable"]
    if amount > intent["amount_capturable"]:
        raise Refused(
            400, "amount_too_large", "The amount to capture exceeds the amount capturable.", param="amount_to_capture"
        )
    _capture(account, intent, amount, card_of(intent["payment_method"]))
    return intent


def cancel(account: StripeAccount, params: JsonObject) -> JsonObject:
    """POST /v1/payment_intents/{id}/cancel. Raises Refused."""
    intent = account.get("payment_intent", params["id"])
    if intent["status"] in _FINAL:
        raise _unexpected(intent, "cancel")
    intent |= {"status": CANCELED, "canceled_at": account.now_s, "amount_capturable": 0, "next_action": None}
    account.save(intent)
    account.tell("payment_intent.canceled", intent)
    return intent


def _confirmed(account: StripeAccount, intent: JsonObject, params: JsonObject) -> JsonObject:
    if not intent["payment_method"]:
        raise Refused(400, "parameter_missing", "You cannot confirm this PaymentIntent without a payment method.")
    card = card_of(intent["payment_method"])
    if card.requires_authentication:
        intent |= {"status": "requires_action", "next_action": _next_action(account, intent, params.get("return_url"))}
        account.save(intent)
        account.tell("payment_intent.requires_action", intent)
        return intent
    return _charged(account, intent, card)


def _next_action(account: StripeAccount, intent: JsonObject, return_url: str | None) -> JsonObject:
    """A page to act at, where the payer can come back from it; else it is left to the script in the shop's own page."""
    if not return_url:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
    page = f"{account.address}{AUTHENTICATION_PATH}/{intent['id']}"
    return {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": page}}


def _charged(account: StripeAccount, intent: JsonObject, card: Card) -> JsonObject:
    charge = charges.attempt(account, intent, card)
    intent["latest_charge"] = charge["id"]
    if card.code:
        raise _declined(account, intent, card)
    if intent["capture_method"] == "manual":
        intent |= {"status": CAPTURABLE, "amount_capturable": intent["amount"]}
        account.save(intent)
        account.tell("payment_intent.amount_capturable_updated", intent)
    else:
        _capture(account, intent, intent["amount"], card)
    return intent


def _capture(account: StripeAccount, intent: JsonObject, amount: int, card: Card) -> None:
    charges.capture(account, account.get("charge", intent["latest_charge"]), amount, card)
    intent |= {"status": SUCCEEDED, "amount_received": amount, "amount_capturable": 0}
    account.save(intent)
    account.tell("payment_intent.succeeded", intent)


def _declined(account: StripeAccount, intent: JsonObject, card: Card) -> Refused:
    """The intent lives on and waits for another card."""
    error = {
        "charge": intent["latest_charge"],
        "code": card.code,
        "message": "Your card was declined.",
        "type": "card_error",
    } | ({"decline_code": card.decline_code} if card.decline_code else {})
    intent |= {"status": "requires_payment_method", "last_payment_error": error, "payment_method": None}
    account.save(intent)
    account.tell("payment_intent.payment_failed", intent)
    fields: dict[str, Any] = {"charge": error["charge"], "decline_code": error.get("decline_code")}
    return Refused(402, card.code, error["message"], error_type="card_error", payment_intent=intent, **fields)


def _method(params: JsonObject) -> str:
    """The PaymentMethod or the older kind of token. Raises Refused for one that is unknown, before anything begins."""
    given = params.get("payment_method_data", {}).get("card", {}).get("token") or params.get("payment_method") or ""
    if given:
        card_of(given)
    return str(given)


def _choice(params: JsonObject, name: str, *choices: str) -> str:
    chosen = str(params.get(name, choices[0]))
    if chosen not in choices:
        raise invalid(name, "parameter_invalid_enum", f"Invalid {name}: must be one of {', '.join(choices)}")
    return chosen


def _unexpected(intent: JsonObject, action: str) -> Refused:
    message = f"You cannot {action} this PaymentIntent because it has a status of {intent['status']}."
    return wrong_state(message, payment_intent=intent)
