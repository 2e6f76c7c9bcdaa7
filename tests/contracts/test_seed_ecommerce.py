"""Goal: document 1, pay-in for several sellers and pay-out to them, works as it is written.

Method: a shop opens its sellers' accounts, sends the document's checkout, and follows each payment order until the
sellers have been paid out.
"""

from typing import Any

from ingest_api.seed_routes.words import WORDS
from tests.contracts.visitor import Visitor, fields_of

CONNECTED = "acct_of_the_seller"
"""A destination that the provider's sandbox pays out to at once."""


def seller(shop: Visitor) -> str:
    account: str = shop("POST /v1/accounts", {"type": "merchant", "currency": "EUR"}, 201)["id"]
    return account


def checkout(name: str, *orders: dict[str, str], card: str = "pm_card_visa") -> dict[str, Any]:
    """The document's request body."""
    return {
        "buyer_info": {"reference": "customer-7"},
        "checkout_id": name,
        "credit_card_info": {"token": card},
        "payment_orders": list(orders),
    }


def order(account: str, amount: str, name: str) -> dict[str, str]:
    return {"seller_account": account, "amount": amount, "currency": "EUR", "payment_order_id": name}


def is_order(shown: dict[str, Any], amount: str, status: str, *, updated: bool) -> None:
    """The columns of the document's table of payment orders."""
    fields_of(shown, payment_order_id=str, amount=str, currency=str, checkout_id=str, payment_order_status=str)
    fields_of(shown, ledger_updated=bool, wallet_updated=bool)
    assert (shown["amount"], shown["payment_order_status"]) == (amount, status), shown
    assert (shown["ledger_updated"], shown["wallet_updated"]) == (updated, updated)


def test_from_the_click_to_the_sellers_bank_account(operator: Visitor) -> None:
    book, lamp = seller(operator), seller(operator)
    asked = checkout(
        "cart-1", order(book, "20.00", "book-1"), order(book, "0.01", "dust-1"), order(lamp, "50", "lamp-1")
    )
    placed = operator.answer("POST /v1/payments", asked)
    assert placed.status_code in {201, 202}, placed.text
    paid = operator.until("GET /v1/payments/cart-1", is_payment_done=True)
    fields_of(paid, checkout_id=str, buyer_info=dict, is_payment_done=bool, payment_orders=list)
    states = {one["payment_order_id"]: one for one in paid["payment_orders"]}
    is_order(states["book-1"], "20.00", "SUCCESS", updated=True)
    is_order(states["dust-1"], "0.01", "FAILED", updated=False)
    is_order(states["lamp-1"], "50.00", "SUCCESS", updated=True)
    assert states["dust-1"]["decline"] == "amount_unsupported"
    is_order(operator("GET /v1/payments/lamp-1"), "50.00", "SUCCESS", updated=True)
    assert operator(f"GET /v1/accounts/{book}/balance")["posted_minor"] == 2_000

    assert operator("POST /v1/payments", asked) == paid
    other = checkout("cart-1", order(book, "20.01", "book-1"))
    operator.refused("POST /v1/payments", other, 422, "idempotency_key_reused")
    double = asked | {"checkout_id": "cart-2", "payment_orders": [order(book, "1", "x") | {"amount": 1.0}]}
    refused = operator.refused("POST /v1/payments", double, 422, "field_invalid")
    assert refused["errors"][0]["pointer"] == "/payment_orders/0/amount"
    card = asked | {"credit_card_info": {"number": "4242424242424242", "cvc": "123"}}
    assert "4242" not in str(operator.refused("POST /v1/payments", card, 422, "card_number_refused"))
    operator.answer("POST /v1/payments", checkout("cart-3", order(book, "9", "pen-1"), card="pm_card_chargeDeclined"))
    operator.until("GET /v1/payments/pen-1", payment_order_status="FAILED", decline="card_declined")

    early = operator.refused("POST /v1/payouts", payout(book, "20.00"), 422, "insufficient_funds")
    assert early["errorMessage"]
    (delivered,) = operator("POST /v1/orders/cart-1/deliver", {"payment_orders": ["book-1"]})["payment_orders"]
    assert delivered["released"]
    paid_out = operator("POST /v1/payouts", payout(book, "15.00"), 201)
    assert operator(f"GET /v1/payouts/{paid_out['id']}")["status"] == "posted"
    assert operator(f"GET /v1/accounts/{book}/balance")["posted_minor"] == 500
    assert {words.ecommerce.name for words in WORDS.values()} == {"NOT_STARTED", "EXECUTING", "SUCCESS", "FAILED"}


def payout(account: str, amount: str) -> dict[str, str]:
    return {"account": account, "amount": amount, "currency": "EUR", "destination": CONNECTED}
