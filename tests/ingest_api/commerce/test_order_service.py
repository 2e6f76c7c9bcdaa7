"""Goal: an order is made, paid or cancelled, and delivering it releases the money, by the order service's routes."""

from typing import Any

import httpx
import pytest

from ingest_api.identity.tokens import Scope
from tests.ingest_api.client import problem_of
from tests.ingest_api.commerce.market import Market, checkout, keyed, order

CARD = {"token": "pm_card_visa"}


async def made(caller: httpx.AsyncClient, *lines: dict[str, Any], key: str | None = None) -> httpx.Response:
    response = await caller.post("/v1/order", json={"lines": lines}, headers=keyed(key))
    assert response.status_code in {200, 201}, response.text
    return response


async def paid(caller: httpx.AsyncClient, order_id: str, **headers: str) -> httpx.Response:
    body = {"order_id": order_id, "credit_card_info": CARD}
    return await caller.post("/v1/payment", json=body, headers=headers)


def line(seller: str, amount: str, **fields: str) -> dict[str, str]:
    return {"seller_account": seller, "amount": amount, "currency": "EUR"} | fields


@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_an_order_is_made_and_paid(market: Market, prefix: str) -> None:
    shop, other = market.seller("shop"), market.seller("other")
    async with market.caller() as caller:
        lines = [line(shop, "2.00", description="a cup"), line(other, "5"), line(shop, "1.50")]
        order_id = (await made(caller, *lines)).json()["id"]
        before = await caller.get(f"{prefix}/order/{order_id}")
        body = {"order_id": order_id, "credit_card_info": CARD}
        first, again = [await caller.post(f"{prefix}/payment", json=body) for _ in range(2)]
        seen = await caller.get(f"{prefix}/payment/{order_id}")
        after = await caller.get(f"{prefix}/order/{order_id}")
    assert (before.json()["status"], len(before.json()["lines"])) == ("created", 3)
    assert (first.status_code, again.status_code) == (201, 200), first.text
    assert [(one["seller_account"], one["amount"]) for one in seen.json()["payment_orders"]] == [
        (shop, "3.50"),
        (other, "5.00"),
    ]
    assert first.json() == again.json() == seen.json() == after.json()["checkout"]
    assert (after.json()["status"], seen.json()["checkout_id"]) == ("checked_out", order_id)


async def test_an_order_with_a_key_is_made_once(market: Market) -> None:
    shop = market.seller("shop")
    async with market.caller() as caller:
        first, again = [await made(caller, line(shop, "2.00"), key="k") for _ in range(2)]
        other = await caller.post("/v1/order", json={"lines": [line(shop, "2.01")]}, headers=keyed("k"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert first.headers["Location"] == f"/v1/order/{first.json()['id']}"
    problem_of(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize("in_body", [True, False])
async def test_before_it_is_paid_an_order_is_simply_cancelled(market: Market, in_body: bool) -> None:
    async with market.caller() as caller:
        order_id = (await made(caller, line(market.seller("shop"), "2.00"))).json()["id"]
        body, query = ({"id": order_id}, None) if in_body else (None, {"id": order_id})
        cancelled, again = [await caller.request("DELETE", "/v1/order", json=body, params=query) for _ in range(2)]
        late = await paid(caller, order_id)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert again.json() == cancelled.json()
    problem_of(late, 422, "order_cancelled")
    assert market.charges() == []


async def test_a_paid_order_is_cancelled_by_refunds(market: Market) -> None:
    shop, other = market.seller("shop"), market.seller("other")
    async with market.caller() as caller:
        order_id = (
            await made(caller, line(shop, "2.00"), line(other, "2.66"), line(other, "1", currency="USD"))
        ).json()["id"]
        placed = await paid(caller, order_id)
        assert [one["payment_order_status"] for one in placed.json()["payment_orders"]] == [
            "SUCCESS",
            "FAILED",
            "FAILED",
        ]
        cancelled, again = [await caller.delete("/v1/order", params={"id": order_id}) for _ in range(2)]
        refunded = (await caller.get(f"/v1/payment/{order_id}-1")).json()
    assert (cancelled.status_code, again.status_code) == (200, 200), cancelled.text
    assert (refunded["refunded"], refunded["released"]) == ("2.00", True)
    assert [one["status"] for one in refunded["refunds"]] == ["posted"]


async def test_while_the_provider_is_asked_nothing_is_cancelled(market: Market) -> None:
    async with market.caller() as caller:
        await caller.post("/v1/payments", json=checkout("cart-1", order(market.seller("shop"), 88, "o-1")))
        refused = await caller.delete("/v1/order", params={"id": "o-1"})
        nothing = await caller.delete("/v1/order")
        unknown = await caller.delete("/v1/order", params={"id": "o-2"})
    problem_of(refused, 409, "order_executing")
    assert problem_of(nothing, 422, "field_missing")["errors"][0]["pointer"] == "?id"
    problem_of(unknown, 404, "order_not_found")


async def test_an_order_is_its_makers(market: Market) -> None:
    async with market.caller("usr_a", Scope.PAYMENTS_WRITE, Scope.PAYMENTS_READ) as maker:
        order_id = (await made(maker, line(market.seller("shop"), "2.00"))).json()["id"]
    async with market.caller("usr_b", Scope.PAYMENTS_WRITE, Scope.PAYMENTS_READ) as other:
        problem_of(await other.get(f"/v1/order/{order_id}"), 404, "order_not_found")
        problem_of(await paid(other, order_id), 404, "order_not_found")
        problem_of(await other.delete("/v1/order", params={"id": order_id}), 404, "order_not_found")


async def test_a_delivery_releases_what_was_paid(market: Market) -> None:
    shop, other = market.seller("shop"), market.seller("other")
    orders = order(shop, 1_000, "o-1"), order(other, 500, "o-2"), order(other, 66, "declined")
    async with market.caller() as caller:
        await caller.post("/v1/payments", json=checkout("cart-1", *orders))
        first = await caller.post("/v1/orders/cart-1/deliver", json={"payment_orders": ["o-1"]}, headers=keyed())
        rest, again = [await caller.post("/v1/orders/cart-1/deliver", json={}, headers=keyed()) for _ in range(2)]
    assert (first.status_code, rest.status_code, again.status_code) == (200, 200, 200), first.text
    assert [[one["payment_order_id"], one["released"]] for one in first.json()["payment_orders"]] == [["o-1", True]]
    assert [one["released"] for one in rest.json()["payment_orders"]] == [True, True]
    assert again.json() == rest.json()
    assert market.available(shop) == 1_000
    assert market.available(other) == 500


async def test_what_was_not_paid_is_not_delivered(market: Market) -> None:
    shop = market.seller("shop")
    orders = order(shop, 66, "declined"), order(shop, 88, "unknown")
    async with market.caller() as caller:
        await caller.post("/v1/payments", json=checkout("cart-1", *orders))
        for name, status, code in (("declined", 422, "order_failed"), ("unknown", 409, "order_executing")):
            problem_of(await caller.post(f"/v1/orders/{name}/deliver", json={}, headers=keyed()), status, code)
        body = {"payment_orders": ["declined"]}
        problem_of(await caller.post("/v1/orders/cart-1/deliver", json=body, headers=keyed()), 422, "order_failed")
        problem_of(await caller.post("/v1/orders/cart-1/deliver", json={}, headers=keyed()), 409, "order_executing")
        body = {"payment_orders": ["another"]}
        stray = await caller.post("/v1/orders/cart-1/deliver", json=body, headers=keyed())
        keyless = await caller.post("/v1/orders/cart-1/deliver", json={})
    problem_of(stray, 422, "field_invalid")
    problem_of(keyless, 400, "idempotency_key_missing")
    assert market.available(shop) == 0


async def test_a_seller_does_not_say_that_it_has_delivered(market: Market) -> None:
    async with market.caller() as caller:
        await caller.post("/v1/payments", json=checkout("cart-1", order(market.seller("shop"), 1_000, "o-1")))
    async with market.caller("service", Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_ANY) as service:
        refused = await service.post("/v1/orders/o-1/deliver", json={}, headers=keyed())
    problem_of(refused, 403, "role_insufficient")
