"""Goal: document 2, the microservices behind one gateway, answers by each of its paths, with the version and without.

Method: a buyer and a seller sign up and log in; the buyer orders, pays, looks, is refunded and cancels; the wallet, the
ledger and the risk service are asked about it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.contracts.visitor import PASSWORD, Visitor, fields_of, signed_up

CARD = {"token": "pm_card_visa"}


def made(shop: Visitor, merchant: str, prefix: str = "/v1") -> str:
    """An order of two things."""
    lines = [{"seller_account": merchant, "amount": amount, "currency": "USD"} for amount in ("12.50", "7.50")]
    order = shop(f"POST {prefix}/order", {"lines": lines}, 201)
    assert order["status"] == "created"
    assert len(order["lines"]) == 2
    id_: str = order["id"]
    return id_


def test_orders_payments_and_refunds(operator: Visitor) -> None:
    merchant = operator("POST /v1/accounts", {"type": "merchant", "currency": "USD"}, 201)["id"]
    order = made(operator, merchant)
    body = {"order_id": order, "credit_card_info": CARD}
    assert operator.answer("POST /v1/payment", body).status_code in {201, 202}
    payment = operator.until(f"GET /v1/payment/{order}", is_payment_done=True)
    (paid,) = payment["payment_orders"]
    assert (paid["payment_order_status"], paid["amount"]) == ("SUCCESS", "20.00")
    assert operator(f"GET /payment/{paid['payment_order_id']}")["checkout_id"] == order

    refund = operator(f"POST /v1/refunds/{paid['payment_order_id']}", {"amount": "5.00"}, 201)
    assert (refund["amount"], refund["status"]) == ("5.00", "posted")
    too_much = f"POST /refunds/{paid['payment_order_id']}"
    operator.refused(too_much, {"amount": "15.01"}, 422, "refund_exceeds_payment")
    assert operator(f"GET /v1/payment/{paid['payment_order_id']}")["refunded"] == "5.00"

    for prefix in ("/v1", ""):
        unpaid = made(operator, merchant, prefix)
        assert operator(f"DELETE {prefix}/order?id={unpaid}")["status"] == "cancelled"
        late = {"order_id": unpaid, "credit_card_info": CARD}
        operator.refused(f"POST {prefix}/payment", late, 422, "order_cancelled")
    in_body = made(operator, merchant)
    assert operator("DELETE /v1/order", {"id": in_body})["status"] == "cancelled"


def test_users_wallets_the_ledger_and_risk(visitor: Visitor, operator: Visitor) -> None:
    emil, user = signed_up(visitor, "emil", phoneNumber="+12125550177")
    id_ = user["userId"]
    refreshed = visitor("POST /auth", {"username": "emil@example.com", "password": PASSWORD})
    fields_of(refreshed, access_token=str, refresh_token=str, token_type=str, expires_in=int)
    visitor.refused("POST /v1/auth", {"username": "emil", "password": "another one"}, 400, "invalid_grant")
    visitor.refused("POST /v1/user", {"username": "emil", "password": PASSWORD}, 409, "user_taken")
    by_put = visitor("PUT /v1/user", {"username": "emma", "password": PASSWORD}, 201)
    assert by_put["username"] == "emma"
    assert emil("PUT /v1/user", {"email": "emil@post.example.com"})["email"] == "emil@post.example.com"
    for identifier in (id_, "emil", "emil@post.example.com", "+12125550177"):
        assert emil(f"GET /v1/user/{identifier}")["userId"] == id_

    money = {"user": id_, "amount": "40.00", "currency": "USD"}
    operator("POST /v1/wallet/credit", money, 201)
    wallet = emil("GET /v1/wallet/balance")
    assert [(one["currency"], one["posted"]) for one in wallet["balances"]] == [("USD", "40.00")]
    emil("POST /v1/wallet/debit", {"amount": "15.00", "currency": "USD"}, 201)
    emil.refused("POST /wallet/debit", {"amount": "25.01", "currency": "USD"}, 422, "insufficient_funds")
    assert emil("GET /wallet/balance")["balances"][0]["available_minor"] == 2_500

    earlier = emil("GET /v1/wallet/balance", at="2026-01-01T00:00:00Z")
    assert earlier["balances"][0]["posted_minor"] == 0

    legs = [leg("suspense", "debit"), leg(user["accountId"], "credit")]
    journal = operator("POST /v1/ledger", {"legs": legs, "description": "fund movement"}, 201)
    assert [(one["side"], one["amount"]) for one in journal["legs"]] == [("debit", "3.00"), ("credit", "3.00")]
    lopsided = [leg("suspense", "debit"), leg(user["accountId"], "credit") | {"amount": "2.99"}]
    operator.refused("POST /ledger", {"legs": lopsided}, 422, "journal_unbalanced")
    today = datetime.now(UTC).date()
    span = f"start={today - timedelta(1)}&end={today + timedelta(2)}"
    emil.until(f"GET /v1/accounts/{user['accountId']}/balance", posted_minor=2_800)
    entries = emil(f"GET /v1/ledger/{id_}?{span}")["items"]
    assert [one["amount"] for one in entries] == ["3.00", "-15.00", "40.00"]
    assert emil(f"GET /ledger/{id_}?end={today - timedelta(1)}")["items"] == []

    other = operator("POST /v1/accounts", {"currency": "USD"}, 201)["id"]
    attempt = {"from_account": user["accountId"], "to_account": other, "amount": "1.00", "currency": "USD"}
    assert emil("POST /v1/risk", attempt)["verdict"] == "allow"
    assert emil("GET /v1/wallet/balance")["balances"][0]["posted_minor"] == 2_800


def leg(account: str, side: str) -> dict[str, Any]:
    return {"account": account, "side": side, "amount": "3.00", "currency": "USD"}
