"""Examples of money that moves outside: checkouts, their refunds, payouts."""

from collections.abc import Iterator

from payments.commerce.connector import Outcome
from payments.identifiers import derive_order_id, system_account
from payments.movements.instructions import (
    ClearDeposit,
    OpenDispute,
    Order,
    PayOut,
    PlaceCheckout,
    RefundOrder,
    ResolveDispute,
    SettleAttempt,
)
from payments.postings import SystemAccount
from schemas.ledger_page.example import BERT, SHOP, Example

CHECKOUT = bytes([0x75]) * 16


def examples() -> Iterator[Example]:
    """One of each kind of movement."""
    yield from _checkouts()
    yield from _afterwards()
    yield from _payouts()


def _checkouts() -> Iterator[Example]:
    shown = Example(
        "Checkout",
        "Every order is charged by itself, once its seller can take it. What the provider keeps is an expense of the"
        " operator, and an entry of its own as soon as the result tells it.",
    )
    _place(shown, Order("shoes", SHOP, 6_000, "EUR", False), Order("hat", BERT, 2_000, "EUR", False))
    shown.answer("the provider has charged the shoes, and keeps 2.04", Outcome.SUCCEEDED, fee_minor=204)
    shown.answer("… and declines the hat", Outcome.FAILED)
    yield shown
    shown = Example(
        "Checkout whose payer has to act", "At the page that the provider names (3-D Secure); nothing moves meanwhile."
    )
    _place(shown, Order("shoes", SHOP, 6_000, "EUR", False))
    shown.answer("the payer's bank asks for the payer", Outcome.REQUIRES_ACTION)
    shown.answer("… who has not come yet", Outcome.REQUIRES_ACTION)
    shown.answer("… and has; the provider has charged", Outcome.SUCCEEDED)
    yield shown
    shown = Example("Checkout on delivery", "Posted when the provider has charged, available when it is released.")
    _place(shown, Order("shoes", SHOP, 6_000, "EUR", True))
    shown.answer("the provider has charged", Outcome.SUCCEEDED)
    delivered = ClearDeposit(account=SHOP, deposit_id=derive_order_id(CHECKOUT, "shoes", 0), envelope=shown.envelope())
    shown.ask("the shoes are delivered", delivered)
    yield shown


def _afterwards() -> Iterator[Example]:
    """Of an order that was charged, or may have been."""
    shown = Example("Refund through the provider", "First from what is not available yet. Reserved, refunded, posted.")
    _place(shown, Order("shoes", SHOP, 6_000, "EUR", False))
    shown.answer("the provider has charged", Outcome.SUCCEEDED)
    refund = RefundOrder(
        checkout=CHECKOUT, payment_order_id="shoes", amount_minor=2_500, currency="EUR", envelope=shown.envelope()
    )
    shown.ask("25.00 are refunded", refund)
    shown.answer("the provider has refunded, and gives 0.80 of its fee back", Outcome.SUCCEEDED, fee_minor=-80)
    yield shown
    shown = Example(
        "Dispute of an order", "The network's fee is the seller's; what the provider keeps for it is the operator's."
    )
    _place(shown, Order("shoes", SHOP, 6_000, "EUR", False))
    shown.answer("the provider has charged", Outcome.SUCCEEDED)
    (opened,) = shown.ask("the buyer disputes it, fee 15.00, of which the provider keeps 12.00", _dispute(shown))
    lost = ResolveDispute(merchant=SHOP, dispute_id=opened.operation_id, is_won=False, envelope=shown.envelope())
    shown.ask("the shop loses", lost)
    yield shown
    shown = Example(
        "Attempt that people settle",
        "Nobody asks the provider any more, and it has said nothing certain: two people have to say the same.",
    )
    _place(shown, Order("shoes", SHOP, 6_000, "EUR", False))
    shown.answer("nobody knows, and no attempt follows", Outcome.UNKNOWN, is_last=True)
    shown.ask("one person has found the charge", _settled(shown, operator=1))
    shown.ask("another one, too", _settled(shown, operator=2))
    yield shown


def _payouts() -> Iterator[Example]:
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


def _dispute(shown: Example) -> OpenDispute:
    return OpenDispute(
        merchant=SHOP,
        customer=system_account(SystemAccount.STRIPE_CLEARING, "EUR"),
        payment_id=derive_order_id(CHECKOUT, "shoes", 0),
        payment_amount_minor=6_000,
        amount_minor=6_000,
        currency="EUR",
        fee_minor=1_500,
        is_provisional=False,
        provider_fee_minor=1_200,
        envelope=shown.envelope(),
    )


def _settled(shown: Example, operator: int) -> SettleAttempt:
    return SettleAttempt(
        owner=CHECKOUT,
        request_id=derive_order_id(CHECKOUT, "shoes", 0),
        is_succeeded=True,
        provider_reference="pi_1",
        operator=bytes([operator]) * 16,
        envelope=shown.envelope(),
    )


def _payout(shown: Example) -> PayOut:
    return PayOut(
        account=SHOP, provider="stripe", token="ba_1", amount_minor=7_000, currency="EUR", envelope=shown.envelope()
    )
