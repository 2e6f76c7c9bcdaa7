"""Examples of money that moves outside: checkouts, their refunds, payouts."""

from collections.abc import Iterator

from payments.commerce.connector import Outcome
from payments.identifiers import derive_order_id
from payments.movements.instructions import ClearDeposit, Order, PayOut, PlaceCheckout, RefundOrder
from schemas.ledger_page.example import BERT, SHOP, Example

CHECKOUT = bytes([0x75]) * 16


def examples() -> Iterator[Example]:
    """One of each kind of movement."""
    shown = Example("Checkout", "Every order is charged by itself, once its seller can take it.")
    _place(shown, Order("shoes", SHOP, 6_000, "EUR", False), Order("hat", BERT, 2_000, "EUR", False))
    shown.answer("the provider has charged the shoes", Outcome.SUCCEEDED)
    shown.answer("… and declines the hat", Outcome.FAILED)
    yield shown
    shown = Example("Checkout on delivery", "Posted when the provider has charged, available when it is released.")
    _place(shown, Order("shoes", SHOP, 6_000, "EUR", True))
    shown.answer("the provider has charged", Outcome.SUCCEEDED)
    delivered = ClearDeposit(account=SHOP, deposit_id=derive_order_id(CHECKOUT, "shoes", 0), envelope=shown.envelope())
    shown.ask("the shoes are delivered", delivered)
    yield shown
    shown = Example("Refund through the provider", "First from what is not available yet. Reserved, refunded, posted.")
    _place(shown, Order("shoes", SHOP, 6_000, "EUR", False))
    shown.answer("the provider has charged", Outcome.SUCCEEDED)
    refund = RefundOrder(
        checkout=CHECKOUT, payment_order_id="shoes", amount_minor=2_500, currency="EUR", envelope=shown.envelope()
    )
    shown.ask("25.00 are refunded", refund)
    shown.answer("the provider has refunded", Outcome.SUCCEEDED)
    yield shown
    shown = Example("Payout", "Reserved, until the provider has said for certain what became of it.").funded(SHOP)
    shown.ask("the shop pays out 70.00", _payout(shown))
    shown.answer("nobody knows", Outcome.UNKNOWN)
    shown.answer("the provider has paid", Outcome.SUCCEEDED)
    yield shown
    shown = Example("Payout that fails", "The account has it again.").funded(SHOP)
    shown.ask("the shop pays out 70.00", _payout(shown))
    shown.answer("the bank account is closed", Outcome.FAILED)
    yield shown


def _place(shown: Example, *orders: Order) -> None:
    asked = PlaceCheckout(
        checkout=CHECKOUT,
        provider="stripe",
        token="pm_card_visa",
        buyer="Anna",
        orders=orders,
        envelope=shown.envelope(),
    )
    shown.ask("Anna's checkout", asked)


def _payout(shown: Example) -> PayOut:
    return PayOut(
        account=SHOP, provider="stripe", token="ba_1", amount_minor=7_000, currency="EUR", envelope=shown.envelope()
    )
