"""Goal: what a provider leaves open is listed, and two people who say the same settle it, once."""

import httpx

from ingest_api.identity.tokens import Scope
from tests.ingest_api.client import problem_of
from tests.ingest_api.commerce.market import Market, checkout, keyed, order

FOUND = {"outcome": "succeeded", "provider_reference": "pi_found"}


async def left_open(market: Market, caller: httpx.AsyncClient) -> str:
    """The id of a charge of which nobody knows (88 cents)."""
    body = checkout("cart-1", order(market.seller("shop"), 88, "o-1"), order(market.seller("shop"), 10, "o-2"))
    await caller.post("/v1/payments", json=body)
    [attempt] = (await caller.get("/v1/attempts")).json()["items"]
    shown = {name: attempt[name] for name in ("status", "operation", "outcome", "payment_order_id", "amount")}
    expected = {"status": "unknown", "operation": "charge", "outcome": "unknown", "payment_order_id": "o-1"}
    assert shown == expected | {"amount": "0.88"}
    return str(attempt["id"])


async def test_two_people_settle_what_a_provider_leaves_open(market: Market) -> None:
    async with market.caller("fatima") as fatima, market.caller("george") as george:
        attempt = await left_open(market, fatima)
        settle = f"/v1/attempts/{attempt}/settle"
        proposed, again = [await fatima.post(settle, json=FOUND, headers=keyed("1")) for _ in range(2)]
        twice = await fatima.post(settle, json=FOUND, headers=keyed("2"))
        other = await george.post(settle, json={"outcome": "failed"}, headers=keyed("3"))
        await fatima.post(settle, json=FOUND, headers=keyed("4"))
        waiting = (await george.get("/v1/payments/o-1")).json()
        settled = await george.post(settle, json=FOUND, headers=keyed("5"))
        late = await fatima.post(settle, json={"outcome": "failed"}, headers=keyed("6"))
        paid, left = (await george.get("/v1/payments/o-1")).json(), (await george.get("/v1/attempts")).json()
    assert [one.status_code for one in (proposed, again, other, settled)] == [200] * 4, settled.text
    assert proposed.json()["settlement"] == FOUND | {"settled_by": 1}
    assert again.headers["Idempotency-Replayed"] == "true"
    problem_of(twice, 422, "reviewer_repeated")
    assert other.json()["settlement"] == {"outcome": "failed", "provider_reference": "", "settled_by": 1}
    assert waiting["payment_order_status"] == "EXECUTING", "each has said something else"
    assert (settled.json()["status"], paid["payment_order_status"]) == ("ended", "SUCCESS")
    assert left["items"] == []
    problem_of(late, 404, "attempt_not_found")


async def test_who_may_settle(market: Market) -> None:
    async with market.caller("fatima") as fatima, market.caller("paul", Scope.RECONCILIATION_READ) as paul:
        attempt = await left_open(market, fatima)
        settle = f"/v1/attempts/{attempt}/settle"
        refused = await paul.post(settle, json=FOUND, headers=keyed())
        seen = await paul.get(f"/v1/attempts/{attempt}")
        changed = await fatima.post(settle, json=FOUND, headers=keyed() | {"If-Match": '"other"'})
        nothing = await fatima.post(settle.replace(attempt, f"att_{'0' * 26}"), json=FOUND, headers=keyed())
        wrong = await fatima.post(settle, json=FOUND | {"outcome": "failed"}, headers=keyed())
    assert seen.status_code == 200
    problem_of(refused, 403, "scope_insufficient")
    problem_of(changed, 412, "precondition_failed")
    problem_of(nothing, 404, "attempt_not_found")
    assert problem_of(wrong, 422, "field_invalid")["errors"][0]["pointer"] == "/provider_reference"
