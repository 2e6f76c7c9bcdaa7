"""Goal: refunds and payouts over HTTP move money once, never more than there is, and say what became of them."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from ingest_api.identity.tokens import Scope
from tests.ingest_api.client import problem_of
from tests.ingest_api.commerce.market import Market, checkout, keyed, order

USER = "usr_01jd5v2q7xf8k8v6n3m4p5r6st"


async def bought(caller: httpx.AsyncClient, seller: str, cents: int, name: str = "o-1") -> None:
    placed = await caller.post("/v1/payments", json=checkout(f"cart of {name}", order(seller, cents, name)))
    assert placed.json()["payment_orders"][0]["payment_order_status"] == "SUCCESS", placed.text


async def refund(caller: httpx.AsyncClient, key: str | None = None, name: str = "o-1", **body: Any) -> httpx.Response:
    return await caller.post(f"/v1/refunds/{name}", json=body, headers=keyed(key))


async def test_refunds_in_parts_never_exceed_the_order(market: Market) -> None:
    async with market.caller() as caller:
        await bought(caller, market.seller("shop"), 1_000)
        parts = [await refund(caller, amount=amount) for amount in ("3.00", "4.00", "3.01")]
        seen = (await caller.get("/v1/payments/o-1")).json()
    assert [part.status_code for part in parts] == [201, 201, 422]
    assert parts[0].json()["id"].startswith("rfd_")
    assert (parts[0].json()["status"], parts[0].json()["amount"]) == ("posted", "3.00")
    assert parts[0].headers["Location"] == "/v1/payments/o-1"
    problem_of(parts[2], 422, "refund_exceeds_payment")
    assert (seen["refunded"], [one["amount"] for one in seen["refunds"]]) == ("7.00", ["3.00", "4.00"])
    assert seen["refunds"][0]["id"] == parts[0].json()["id"]


async def test_refunds_at_once_never_exceed_the_order(market: Market) -> None:
    """60 and 60 of 100, by two callers who don't know of each other."""
    async with market.caller() as caller:
        await bought(caller, market.seller("shop", 10_000), 10_000)  # who could afford both
        answers = await asyncio.gather(*(refund(caller, amount="60.00") for _ in range(2)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 1}
    problem_of(max(answers, key=lambda answer: answer.status_code), 422, "refund_exceeds_payment")


async def test_a_refund_without_amount_is_of_the_whole(market: Market) -> None:
    async with market.caller() as caller:
        await bought(caller, market.seller("shop"), 1_000)
        first, again = [await refund(caller, "k", name="cart of o-1") for _ in range(2)]
        other = await refund(caller, "k", amount="1.00")
    assert (first.status_code, again.status_code) == (201, 200), first.text
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.json()["amount"] == again.json()["amount"] == "10.00"
    problem_of(other, 422, "idempotency_key_reused")


async def test_what_is_contested_of_an_order_is_not_refunded_too(market: Market) -> None:
    """A chargeback names the order as its seller knows it, and is against what the provider has charged."""
    async with market.caller() as caller:
        seller = market.seller("shop")
        await bought(caller, seller, 1_000)
        dispute = await caller.post("/v1/disputes", json={"payment": "o-1", "amount": "4.00"}, headers=keyed())
        parts = [await refund(caller, amount=amount) for amount in ("6.01", "6.00")]
        listed = (await caller.get("/v1/disputes", params={"account": seller})).json()["items"]
    assert (dispute.status_code, dispute.json()["payment_id"], dispute.json()["amount"]) == (201, "o-1", "4.00")
    assert [part.status_code for part in parts] == [422, 201]
    problem_of(parts[0], 422, "refund_exceeds_payment")
    assert [one["id"] for one in listed] == [dispute.json()["id"]]


@pytest.mark.parametrize("hours", [0, 100], ids=["remembered by the shard", "told by its row"])
async def test_a_refund_that_the_provider_declines_counts_back(market: Market, hours: int) -> None:
    market.at_hours_ago(hours)
    async with market.caller() as caller:
        await bought(caller, market.seller("shop"), 1_000)
        declined = await refund(caller, "k", amount="1.66")
        market.at_hours_ago(0)
        again = await refund(caller, "k", amount="1.66")
        seen = (await caller.get("/v1/payments/o-1")).json()
    problem_of(declined, 422, "provider_declined")
    problem_of(again, 422, "provider_declined")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (seen["refunded"], seen["refunds"][0]["status"]) == ("0.00", "returned")


async def test_a_refund_that_nobody_knows_of_is_not_final(market: Market) -> None:
    async with market.caller() as caller:
        await bought(caller, market.seller("shop"), 1_000)
        unknown = await refund(caller, amount="1.88")
    assert (unknown.status_code, unknown.json()["final"]) == (202, False)


@pytest.mark.parametrize("hours", [0, 100], ids=["remembered by the shard", "told by its row"])
async def test_the_key_of_one_order_s_refund_refunds_no_other_order(market: Market, hours: int) -> None:
    shop = market.seller("shop")
    market.at_hours_ago(hours)
    async with market.caller() as caller:
        await caller.post("/v1/payments", json=checkout("cart-1", order(shop, 10, "o-1"), order(shop, 10, "o-2")))
        assert (await refund(caller, "k")).status_code == 201
        market.at_hours_ago(0)
        problem_of(await refund(caller, "k", name="o-2"), 422, "idempotency_key_reused")


async def test_of_a_checkout_of_several_orders_each_is_refunded_alone(market: Market) -> None:
    shop = market.seller("shop")
    async with market.caller() as caller:
        await caller.post("/v1/payments", json=checkout("cart-1", order(shop, 10, "o-1"), order(shop, 20, "o-2")))
        problem_of(await refund(caller, name="cart-1"), 422, "parameter_invalid")
        problem_of(await refund(caller, name="cart-2"), 404, "order_not_found")
        assert (await refund(caller, name="o-2")).json()["amount"] == "0.20"


def payout(account: str, amount: str, **fields: str) -> dict[str, str]:
    return {"account": account, "amount": amount, "currency": "EUR", "destination": "ba_1"} | fields


async def test_a_payout_is_reserved_asked_and_posted(market: Market) -> None:
    shop = market.seller("shop", 10_000)
    async with market.caller() as caller:
        first, again = [
            await caller.post("/v1/payouts", json=payout(shop, "30.00"), headers=keyed("k")) for _ in range(2)
        ]
        seen = await caller.get(first.headers["Location"])
    assert (first.status_code, again.status_code) == (201, 200), first.text
    assert first.json() == again.json() == seen.json()
    assert (seen.json()["status"], seen.json()["provider"], seen.json()["account"]) == ("posted", "stripe", shop)
    assert seen.json()["id"].startswith("pay_")
    assert market.available(shop) == 7_000


@pytest.mark.parametrize("hours", [0, 100], ids=["remembered by the shard", "told by its row"])
async def test_the_key_of_a_transfer_is_no_payout_s(market: Market, hours: int) -> None:
    """A payout that never was is not told to be on its way."""
    shop, other = market.seller("shop", 10_000), market.seller("other")
    market.at_hours_ago(hours)
    async with market.caller() as caller:
        transfer = {"from_account": shop, "to_account": other, "amount": "30.00", "currency": "EUR"}
        assert (await caller.post("/v1/transfers", json=transfer, headers=keyed("k"))).status_code == 201
        market.at_hours_ago(0)
        paid = await caller.post("/v1/payouts", json=payout(shop, "30.00"), headers=keyed("k"))
    problem_of(paid, 422, "idempotency_key_reused")
    assert market.available(shop) == 7_000


PAYOUTS = [
    ("1.66", 422, "provider_declined"),
    ("100.01", 422, "insufficient_funds"),
]


@pytest.mark.parametrize(("amount", "status", "code"), PAYOUTS)
async def test_a_payout_that_comes_to_nothing_leaves_the_money(
    market: Market, amount: str, status: int, code: str
) -> None:
    shop = market.seller("shop", 10_000)
    async with market.caller() as caller:
        refused, again = [
            await caller.post("/v1/payouts", json=payout(shop, amount), headers=keyed("k")) for _ in range(2)
        ]
    problem_of(refused, status, code)
    problem_of(again, status, code)
    assert market.available(shop) == 10_000


WRONG = [
    ({"amount": "0"}, "amount_not_positive", "/amount"),
    ({"account": "acc_x"}, "field_invalid", "/account"),
    ({"destination": ""}, "field_invalid", "/destination"),
    ({"provider": "adyen"}, "field_invalid", "/provider"),
]


@pytest.mark.parametrize(("fields", "code", "pointer"), WRONG)
async def test_a_wrong_payout_is_refused_at_its_place(
    market: Market, fields: dict[str, str], code: str, pointer: str
) -> None:
    shop = market.seller("shop", 10_000)
    async with market.caller() as caller:
        refused = await caller.post("/v1/payouts", json=payout(shop, "1") | fields, headers=keyed())
    assert problem_of(refused, 422, code)["errors"][0]["pointer"] == pointer


async def test_money_leaves_an_account_by_who_may_move_it(market: Market) -> None:
    shop = market.seller("shop", 10_000)
    async with market.caller() as caller:
        await bought(caller, shop, 1_000)
        placed = await caller.post("/v1/payouts", json=payout(shop, "1.00"), headers=keyed())
    async with market.caller(USER, Scope.PAYMENTS_WRITE, Scope.PAYMENTS_READ) as stranger:
        problem_of(await refund(stranger), 404, "order_not_found")
        theirs = await stranger.post("/v1/payouts", json=payout(shop, "1.00"), headers=keyed())
        problem_of(theirs, 404, "account_not_found")
        problem_of(await stranger.get(placed.headers["Location"]), 404, "payment_not_found")
    assert market.available(shop) == 9_900
