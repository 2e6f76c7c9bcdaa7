"""Goal: the walk of the e-commerce contract over TCP, from the buyer's click to the seller's bank account, with every
process of an installation and the provider's sandbox.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from tests.connectors.sandbox_process import API_KEY, running_sandbox
from tests.ingest_api.client import ApiClient, problem_of
from tests.ingest_api.commerce.market import checkout, order
from tests.support.environment import running_installation
from tests.support.waiting import eventually

CONNECTED = "acct_of_the_seller"
"""A destination that the sandbox pays out to at once."""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiClient]:
    """The shop's backend."""
    home = tmp_path_factory.mktemp("shop")
    key_file = home / "stripe.key"
    key_file.write_text(API_KEY)
    with (
        running_sandbox(home / "sandbox.sqlite") as sandbox,
        running_installation(home / "home", stripe_url=sandbox.url, stripe_api_key_file=key_file) as environment,
    ):
        assert environment.addresses.api_url is not None
        client = ApiClient(environment.addresses.api_url, issue_token(environment.settings, "shop", ALL_SCOPES, 600))
        yield client
        client.http.close()


def after(write: httpx.Response) -> dict[str, str]:
    """A header with which the next call sees at least this write."""
    return {"Consistency_Token": write.headers["Consistency-Token"]}


def when_done(caller: ApiClient, checkout_id: str) -> dict[str, Any]:
    """The checkout, once every order of it is done."""

    def look() -> dict[str, Any]:
        found: dict[str, Any] = caller.get(f"/v1/payments/{checkout_id}").json()
        return found

    eventually(lambda: look().get("is_payment_done"), f"{checkout_id} is done")
    return look()


def test_from_the_click_to_the_sellers_bank_account(caller: ApiClient) -> None:
    book, lamp = caller.open_account(type="merchant"), caller.open_account(type="merchant")
    orders = order(book, 2_000, "book-1"), order(lamp, 1, "too-little-1"), order(lamp, 5_000, "lamp-1")
    placed = caller.post("/v1/payments", checkout("cart-1", *orders), prefer="wait=20")
    assert placed.status_code in {201, 202}, placed.text
    paid = when_done(caller, "cart-1")
    told = {one["payment_order_id"]: one for one in paid["payment_orders"]}
    assert {name: one["payment_order_status"] for name, one in told.items()} == {
        "book-1": "SUCCESS",
        "too-little-1": "FAILED",
        "lamp-1": "SUCCESS",
    }
    assert told["too-little-1"]["decline"] == "amount_unsupported"
    assert all(told[name]["ledger_updated"] and told[name]["wallet_updated"] for name in ("book-1", "lamp-1"))
    assert caller.balance_minor(book) == 2_000

    again = caller.post("/v1/payments", checkout("cart-1", *orders), prefer="wait=20")
    assert (again.status_code, again.json()) == (200, paid)
    declined = caller.post(
        "/v1/payments", checkout("cart-2", order(book, 900, "pen-1"), token="pm_card_chargeDeclined")
    )
    when_done(caller, "cart-2")
    assert caller.get("/v1/payments/pen-1", declined).json()["decline"] == "card_declined"

    refunded = caller.post("/v1/refunds/lamp-1", {"amount": "20.00"}, prefer="wait=20")
    assert (refunded.status_code, refunded.json()["status"]) == (201, "posted"), refunded.text
    problem_of(caller.post("/v1/refunds/lamp-1", {"amount": "30.01"}, prefer="wait=20"), 422, "refund_exceeds_payment")

    early = caller.post("/v1/payouts", _payout(book, "20.00"), prefer="wait=20")
    problem_of(early, 422, "insufficient_funds")
    delivered = caller.post("/v1/orders/cart-1/deliver", {"payment_orders": ["book-1"]}, prefer="wait=20")
    assert (delivered.status_code, delivered.json()["payment_orders"][0]["released"]) == (200, True), delivered.text
    payout = caller.post("/v1/payouts", _payout(book, "15.00"), prefer="wait=20", **after(delivered))
    assert (payout.status_code, payout.json()["status"]) == (201, "posted"), payout.text
    assert caller.get(payout.headers["Location"], payout).json() == payout.json()
    assert caller.balance_minor(book, payout) == 500


def _payout(account: str, amount: str) -> dict[str, str]:
    return {"account": account, "amount": amount, "currency": "EUR", "destination": CONNECTED}
