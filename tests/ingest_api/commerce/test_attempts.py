"""Goal: what a provider leaves open is listed, and two people who say the same settle it, once."""

from typing import Any

import httpx
import pytest

from ingest_api.attempts.shown import ATTEMPT
from ingest_api.identity.tokens import Scope
from millrace.attempts import AttemptsAlarm
from payments.commerce.connector import LOST_AFTER_DAYS, Outcome
from payments.identifiers import format_id, parse_id
from payments.postings import SystemAccount
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


HOURS = LOST_AFTER_DAYS * 24


@pytest.mark.parametrize(("hours", "is_lost"), [(HOURS + 1, True), (HOURS - 1, False)], ids=["lost", "may still come"])
async def test_what_nothing_is_heard_of_for_a_week_is_settled_by_people(
    market: Market, hours: int, is_lost: bool
) -> None:
    """99 cents: the provider was asked, and neither a result nor another attempt came."""
    alarm = AttemptsAlarm(market.services.settings, every_s=0)
    market.at_hours_ago(hours)
    async with market.caller("fatima") as fatima, market.caller("george") as george:
        await fatima.post("/v1/payments", json=checkout("cart-1", order(market.seller("shop"), 99, "o-1")))
        market.at_hours_ago(0)
        listed = (await fatima.get("/v1/attempts")).json()["items"]
        assert ([one["status"] for one in listed], len(alarm.alarms())) == ((["lost"], 1) if is_lost else ([], 0))
        settle = f"/v1/attempts/{attempt_of(market, 'o-1')}/settle"
        answers = [await one.post(settle, json=FOUND, headers=keyed()) for one in (fatima, george)]
        if not is_lost:
            for answer in answers:
                problem_of(answer, 409, "order_executing")
            return
        assert [one.status_code for one in answers] == [200, 200], answers[-1].text
        paid, left = (await george.get("/v1/payments/o-1")).json(), (await george.get("/v1/attempts")).json()
    assert (answers[-1].json()["status"], paid["payment_order_status"], left["items"]) == ("ended", "SUCCESS", [])
    assert alarm.alarms() == []


TOLD_LATE = [
    ({}, {"PROVIDER_FEES": -31, "STRIPE_CLEARING": 31}),
    ({"fee_minor": -4}, {"PROVIDER_FEES": 4, "STRIPE_CLEARING": -4}),
    ({"fee_minor": None, "fee_currency": ""}, {}),
    ({"outcome": Outcome.FAILED, "provider_reference": ""}, {}),
]


@pytest.mark.parametrize(
    ("said", "posted"), TOLD_LATE, ids=["kept", "given back", "not told", "of what contradicts people"]
)
async def test_what_a_provider_keeps_and_tells_after_people_is_posted_once(
    market: Market, said: dict[str, Any], posted: dict[str, int]
) -> None:
    async with market.caller("fatima") as fatima, market.caller("george") as george:
        attempt = await left_open(market, fatima)
        for one in (fatima, george):
            await one.post(f"/v1/attempts/{attempt}/settle", json=FOUND, headers=keyed())
        for number in (7, 8):
            told = {"provider_reference": "pi_found", "fee_minor": 31, "fee_currency": "EUR"} | said
            market.tell(request_id_of(attempt), attempt=number, **told)
        shown = (await george.get(f"/v1/attempts/{attempt}")).json()
    fees = {code.name: market.posted(code, "EUR", cause=request_id_of(attempt)) for code in OF_FEES}
    assert {name: minor for name, minor in fees.items() if minor} == posted
    assert ("contradiction" in shown["settlement"]) == (said.get("outcome") is Outcome.FAILED)


OF_FEES = (SystemAccount.PROVIDER_FEES, SystemAccount.STRIPE_CLEARING)


def attempt_of(market: Market, name: str) -> str:
    [charge] = [charge for charge in market.charges() if charge.payment_order_id == name]
    return format_id(ATTEMPT, charge.request_id)


def request_id_of(attempt: str) -> bytes:
    request_id = parse_id(ATTEMPT, attempt)
    assert request_id is not None
    return request_id


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
