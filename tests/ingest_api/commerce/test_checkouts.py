"""Goal: a checkout over HTTP is charged order by order, once, and told in the words of the e-commerce contract."""

import httpx
import psycopg
import pytest

from ingest_api.identity.tokens import Scope
from payments.identifiers import CHECKOUT, derive_checkout_id, format_id
from payments.items.details import OrderStatus
from tests.ingest_api.client import problem_of
from tests.ingest_api.commerce.market import Market, checkout, keyed, order

PATHS = ("/v1/payments", "/payments")


async def place(caller: httpx.AsyncClient, body: dict[str, object], **headers: str) -> httpx.Response:
    return await caller.post("/v1/payments", json=body, headers=headers)


def words(response: httpx.Response) -> dict[str, str]:
    return {one["payment_order_id"]: one["payment_order_status"] for one in response.json()["payment_orders"]}


@pytest.mark.parametrize("path", PATHS)
async def test_orders_of_several_sellers_succeed_and_fail_alone(market: Market, path: str) -> None:
    shop, other = market.seller("shop"), market.seller("other")
    orders = order(shop, 1_000, "o-1"), order(other, 266, "o-2"), order(other, 50, "o-3", release="at_once")
    async with market.caller() as caller:
        placed = await caller.post(path, json=checkout("cart-1", *orders))
        seen = await caller.get(placed.headers["Location"])
        paid, declined, at_once = [(await caller.get(f"{path}/{name}")).json() for name in ("o-1", "o-2", "o-3")]
    assert placed.status_code == 201, placed.text
    assert placed.headers["Location"] == "/v1/payments/cart-1"
    assert words(placed) == {"o-1": "SUCCESS", "o-2": "FAILED", "o-3": "SUCCESS"}
    assert placed.json()["is_payment_done"] is True
    assert placed.json()["buyer_info"] == {"reference": "customer-7"}
    assert placed.json()["id"] == format_id(CHECKOUT, derive_checkout_id("cart-1"))
    assert seen.json() == placed.json()
    assert [one["checkout_id"] for one in (paid, declined, at_once)] == ["cart-1"] * 3
    flags = ("ledger_updated", "wallet_updated", "is_payment_done", "released")
    assert [[one[flag] for flag in flags] for one in (paid, declined, at_once)] == [
        [True, True, True, False],
        [False, False, True, False],
        [True, True, True, True],
    ]
    assert (declined["reason"], declined["decline"]) == ("provider_declined", "card_declined")
    assert (paid["seller_account"], paid["amount"], paid["amount_minor"]) == (shop, "10.00", 1_000)


async def test_the_same_checkout_again_answers_what_became_of_it(market: Market) -> None:
    body = checkout("cart-1", order(market.seller("shop"), 1_000, "o-1"))
    async with market.caller() as caller:
        first, again = [await place(caller, body) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert len(market.charges()) == 1


@pytest.mark.parametrize("hours_later", [1, 100], ids=["remembered by the shard", "told by its row"])
async def test_another_checkout_under_the_same_id_is_refused(market: Market, hours_later: int) -> None:
    shop = market.seller("shop")
    market.at_hours_ago(hours_later)
    async with market.caller() as caller:
        await place(caller, checkout("cart-1", order(shop, 1_000, "o-1")))
        market.at_hours_ago(0)
        other = await place(caller, checkout("cart-1", order(shop, 1_001, "o-1")))
        same = await place(caller, checkout("cart-1", order(shop, 1_000, "o-1")))
    problem_of(other, 422, "idempotency_key_reused")
    assert (same.status_code, words(same)) == (200, {"o-1": "SUCCESS"})
    assert len(market.charges()) == 1


@pytest.mark.parametrize("name", ["o-1", "cart-1"])
async def test_the_name_of_another_checkout_or_of_its_order_is_taken(market: Market, name: str) -> None:
    """Else the one that came first would be shown, refunded and cancelled under the other's name."""
    shop, other = market.seller("shop"), market.seller("other")
    async with market.caller() as caller:
        await place(caller, checkout("cart-1", order(shop, 1_000, "o-1")))
        same_order = await place(caller, checkout("cart-2", order(other, 1, "o-2"), order(other, 1, name)))
        same_cart = await place(caller, checkout("o-1", order(other, 1, "o-3")))
    assert problem_of(same_order, 422, "field_invalid")["errors"][0]["pointer"] == "/payment_orders"
    problem_of(same_cart, 422, "field_invalid")
    assert len(market.charges()) == 1


async def test_what_takes_longer_is_told_as_far_as_it_is(market: Market) -> None:
    """Of 88 cents nobody knows: it is neither done nor failed."""
    async with market.caller() as caller:
        placed = await place(caller, checkout("cart-1", order(market.seller("shop"), 88, "o-1")))
        at_once = await place(caller, checkout("cart-2", order(market.seller("shop"), 10, "o-2")), prefer="wait=0")
    assert (placed.status_code, words(placed)) == (202, {"o-1": "EXECUTING"})
    assert placed.json()["is_payment_done"] is False
    assert at_once.headers["Preference-Applied"] == "wait=0"


async def test_a_payer_who_has_to_act_is_told_where(market: Market) -> None:
    """Until the order is done; a payment that waits for its payer is answered at once."""
    page = "https://bank.example/3ds/1"
    asked = checkout("cart-1", order(market.seller("shop"), 88, "o-1"))
    async with market.caller() as caller:
        await place(caller, asked)
        with psycopg.connect(market.services.settings.database_url) as tables:
            tables.execute("INSERT INTO payer_actions SELECT order_id, %s FROM payment_orders", (page,))
        again = await place(caller, asked, prefer="wait=30")
        seen = (await caller.get("/v1/payments/o-1")).json()
        with psycopg.connect(market.services.settings.database_url) as tables:
            tables.execute("UPDATE payment_orders SET status = %s", (OrderStatus.FAILED,))
        ended = (await caller.get("/v1/payments/o-1")).json()
    assert (again.status_code, words(again)) == (202, {"o-1": "EXECUTING"})
    assert seen["next_action"] == {"type": "redirect_to_url", "url": page}
    assert again.json()["payment_orders"][0]["next_action"] == seen["next_action"]
    assert "next_action" not in ended


async def test_a_seller_that_takes_no_money_fails_its_order_alone(market: Market) -> None:
    stranger = market.seller("shop")[:-1] + "0"
    async with market.caller() as caller:
        placed = await place(caller, checkout("cart-1", order(stranger, 100, "o-1")))
    assert (placed.status_code, words(placed)) == (201, {"o-1": "FAILED"})
    assert placed.json()["payment_orders"][0]["reason"] == "payee_not_found"
    assert market.charges() == []


async def test_a_token_is_read_only_where_it_may(market: Market) -> None:
    body = checkout("cart-1", order(market.seller("shop"), 100, "o-1"))
    async with market.caller("reader", Scope.PAYMENTS_READ) as reader:
        problem_of(await place(reader, body), 403, "scope_insufficient")
    async with market.caller() as caller:
        await place(caller, body)
    async with market.caller("usr_01jd5v2q7xf8k8v6n3m4p5r6st", Scope.PAYMENTS_READ) as user:
        for name in ("o-1", "cart-1", "nothing"):
            problem_of(await user.get(f"/v1/payments/{name}"), 404, "order_not_found")


async def test_a_card_number_is_refused_unread(market: Market, caplog: pytest.LogCaptureFixture) -> None:
    body = checkout("cart-1", order(market.seller("shop"), 100, "o-1"), token="4111111111111111")
    async with market.caller() as caller:
        refused = await place(caller, body)
    problem_of(refused, 422, "card_number_refused")
    assert "4111" not in refused.text + caplog.text
    assert market.charges() == []


async def test_a_name_that_nothing_can_have_is_not_found(market: Market) -> None:
    """Postgres takes no NUL in a text."""
    async with market.caller() as caller:
        seen = [await caller.get(f"/v1/{path}/%00") for path in ("payments", "payment")]
        seen += [
            await caller.post(f"/v1/{path}", json={}, headers=keyed()) for path in ("refunds/%00", "orders/%00/deliver")
        ]
        seen += [
            await caller.delete("/v1/order?id=%00"),
            await caller.request("DELETE", "/v1/order", json={"id": "\0"}),
        ]
    for response in seen:
        problem_of(response, 404, "order_not_found")


async def test_an_order_is_paid_by_its_own_route_alone(market: Market) -> None:
    """Else whoever made it could pay a cent under its id, and it would look paid."""
    shop = market.seller("shop")
    line = {"seller_account": shop, "amount": "100.00", "currency": "EUR"}
    async with market.caller() as caller:
        order_id = (await caller.post("/v1/order", json={"lines": [line]})).json()["id"]
        placed = await place(caller, checkout(order_id, order(shop, 1, f"{order_id}-1")))
    assert problem_of(placed, 422, "field_invalid")["errors"][0]["pointer"] == "/checkout_id"
    assert market.charges() == []
