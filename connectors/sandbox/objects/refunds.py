"""Refunds: never more than was taken, however many there are; none of what is disputed."""

from connectors.sandbox.account import StripeAccount
from connectors.sandbox.forms import positive
from connectors.sandbox.objects.balance import book
from connectors.sandbox.objects.cards import card_of
from connectors.sandbox.refusal import JsonObject, Refused, invalid, missing, wrong_state

CREATE_PARAMS = frozenset({"payment_intent", "charge", "amount", "metadata", "reason"})


def create(account: StripeAccount, params: JsonObject) -> JsonObject:
    """POST /v1/refunds. Raises Refused."""
    charge = _charge(account, params)
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = positive(params, "amount") if "amount" in params else left
    _refuse_unrefundable(charge, amount, left)
    card = card_of(charge["payment_method"])
    refund = account.new(
        "refund",
        "re",
        amount=amount,
        balance_transaction=None,
        charge=charge["id"],
        currency=charge["currency"],
        metadata=params.get("metadata", {}),
        payment_intent=charge["payment_intent"],
        reason=params.get("reason"),
        status=card.refund_status,
    )
    if refund["status"] == "failed":
        refund["failure_reason"] = "expired_or_canceled_card"
    else:
        refund["balance_transaction"] = book(account, "refund", refund, -amount)
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        account.save(charge)
        account.tell("charge.refunded", charge)
    account.save(refund)
    account.tell("refund.created", refund)
    return refund


def complete(account: StripeAccount, refund_id: str) -> JsonObject:
    """What the bank does with a pending refund, days later. Raises Refused."""
    refund = account.get("refund", refund_id)
    if refund["status"] != "pending":
        raise wrong_state("This refund is not pending.", code="refund_not_pending")
    refund["status"] = "succeeded"
    account.save(refund)
    account.tell("refund.updated", refund)
    return refund


def _charge(account: StripeAccount, params: JsonObject) -> JsonObject:
    if charge_id := params.get("charge"):
        return account.get("charge", charge_id)
    if intent_id := params.get("payment_intent"):
        charge_id = account.get("payment_intent", intent_id)["latest_charge"]
        if charge_id is None:
            raise missing("charge", f"of {intent_id}")
        return account.get("charge", charge_id)
    raise invalid(
        "charge", "parameter_missing", "One of the following params should be provided: charge, payment_intent."
    )


def _refuse_unrefundable(charge: JsonObject, amount: int, left: int) -> None:
    if charge["disputed"]:
        raise wrong_state(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if not charge["captured"]:
        raise wrong_state(f"Charge {charge['id']} has not been captured.", code="charge_not_refundable")
    if not left:
        raise Refused(400, "charge_already_refunded", f"Charge {charge['id']} has already been refunded.")
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise Refused(400, None, message, param="amount")
