"""Charges: what was taken from a card, what of it was refunded, and the dispute that some cards bring with them."""

from connectors.sandbox.account import StripeAccount
from connectors.sandbox.objects import disputes
from connectors.sandbox.objects.balance import book, charge_fee
from connectors.sandbox.objects.cards import Card
from connectors.sandbox.refusal import JsonObject


def attempt(account: StripeAccount, intent: JsonObject, card: Card) -> JsonObject:
    """Ask the card's issuer: a charge that is authorised or failed."""
    charge = account.new(
        "charge",
        "ch",
        amount=intent["amount"],
        amount_captured=0,
        amount_refunded=0,
        balance_transaction=None,
        captured=False,
        currency=intent["currency"],
        disputed=False,
        failure_code=card.code or None,
        metadata=intent["metadata"],
        outcome={"network_status": "declined_by_network" if card.code else "approved_by_network"},
        paid=not card.code,
        payment_intent=intent["id"],
        payment_method=intent["payment_method"],
        refunded=False,
        status="failed" if card.code else "succeeded",
    )
    account.save(charge)
    if card.code:
        account.tell("charge.failed", charge)
    return charge


def capture(account: StripeAccount, charge: JsonObject, amount: int, card: Card) -> None:
    """Take the money; what was authorised beyond it is released."""
    fee = charge_fee(amount, charge["currency"])
    charge["captured"], charge["amount_captured"] = True, amount
    charge["balance_transaction"] = book(account, "charge", charge, amount, fee)
    account.save(charge)
    account.tell("charge.succeeded", charge)
    if card.dispute_reason:
        disputes.open_dispute(account, charge, card.dispute_reason)
