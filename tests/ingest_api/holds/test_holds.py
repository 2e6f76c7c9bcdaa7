"""Goal: what is held can be captured once, by whom it was promised to, and never beyond what is left."""

import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ingest_api.aliases.parties import USER
from ingest_api.identity.tokens import Scope, issue_token
from payments.identifiers import HOLD, format_id
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, problem_of
from tests.support.waiting import eventually

WAIT = "wait=20"
LATER = "2099-01-01T00:00:00Z"
CUSTOMER = (Scope.PAYMENTS_READ, Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_READ, Scope.ACCOUNTS_WRITE)


def in_(**span: int) -> str:
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


def place(api: ApiClient, payer: str, payee: str, amount: str, key: str | None = None, **fields: Any) -> httpx.Response:
    body = {"from_account": payer, "to_account": payee, "amount": amount, "currency": "EUR"}
    return api.post("/v1/holds", body | {"expires_at": in_(days=7)} | fields, key, prefer=WAIT)


def step(api: ApiClient, hold: httpx.Response, name: str, key: str | None = None, **body: Any) -> httpx.Response:
    """After the hold was placed, or changed."""
    headers = {"prefer": WAIT, "consistency_token": hold.headers["Consistency-Token"]}
    return api.post(f"/v1/holds/{hold.json()['id']}/{name}", body, key, **headers)


def look(api: ApiClient, hold: httpx.Response, after: httpx.Response) -> Any:
    return api.get(f"/v1/holds/{hold.json()['id']}", after).json()


def available(api: ApiClient, account: str, after: httpx.Response) -> str:
    shown: str = api.get(f"/v1/accounts/{account}/balance", after).json()["available"]
    return shown


def test_a_hold_is_captured_in_parts_until_the_final_one(api: ApiClient) -> None:
    payer, payee = api.funded_account("100.00"), api.open_account()
    hold = place(api, payer, payee, "60.00", description="Room 7")
    assert (hold.status_code, hold.json()["status"], hold.json()["remaining"]) == (201, "open", "60.00"), hold.text
    assert hold.headers["Location"] == f"/v1/holds/{hold.json()['id']}"
    assert available(api, payer, hold) == "40.00"
    first = step(api, hold, "capture", amount="25.00")
    assert (first.status_code, first.json()["status"], first.json()["to_account"]) == (201, "posted", payee), first.text
    assert look(api, hold, first)["remaining"] == "35.00"
    last = step(api, hold, "capture", amount="10.00", final=True, description="Minibar")
    seen = look(api, hold, last)
    assert (seen["status"], seen["captured"], seen["remaining"]) == ("captured", "35.00", "0.00")
    assert (seen["amount"], seen["description"]) == ("60.00", "Room 7")
    assert [one["id"] for one in seen["captures"]] == [first.json()["id"], last.json()["id"]]
    assert seen["captures"][1]["description"] == "Minibar"
    assert available(api, payer, last) == "65.00"
    problem_of(step(api, hold, "capture", amount="1.00"), 404, "hold_not_found")


def test_a_hold_is_captured_right_after_it_was_placed(api: ApiClient) -> None:
    """Postgres is milliseconds behind; who sends no Consistency-Token was told that the hold was never placed."""
    payer, payee = api.funded_account("100.00"), api.open_account()
    for _ in range(5):
        hold = place(api, payer, payee, "20.00").json()["id"]
        captured = api.post(f"/v1/holds/{hold}/capture", {"amount": "20.00"}, prefer=WAIT)
        assert (captured.status_code, captured.json()["status"]) == (201, "posted"), captured.text


def test_a_hold_is_raised_then_voided(api: ApiClient) -> None:
    payer, payee = api.funded_account("100.00"), api.open_account()
    hold = place(api, payer, payee, "60.00")
    raised = step(api, hold, "increment", amount="30.00")
    assert (raised.status_code, raised.json()["amount"], raised.json()["remaining"]) == (200, "90.00", "90.00")
    problem_of(step(api, hold, "increment", amount="30.00"), 422, "insufficient_funds")
    problem_of(step(api, hold, "void", amount="1.00"), 422, "field_unknown")
    voided, again = [step(api, hold, "void", key="v") for _ in range(2)]
    assert (voided.status_code, voided.json()["status"]) == (200, "voided"), voided.text
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert available(api, payer, voided) == "100.00"
    problem_of(step(api, hold, "void"), 404, "hold_not_found")


def test_two_captures_at_once_never_take_more_than_the_hold(api: ApiClient) -> None:
    payer, payee = api.funded_account("100.00"), api.open_account()
    hold = place(api, payer, payee, "100.00")
    with ThreadPoolExecutor(2) as callers:
        answers = list(callers.map(lambda _: step(api, hold, "capture", amount="60.00"), range(2)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 1}
    problem_of(max(answers, key=lambda answer: answer.status_code), 422, "capture_exceeds_hold")
    assert look(api, hold, answers[0])["remaining"] == "40.00"


def test_the_same_key_is_the_same_hold_and_the_same_capture(api: ApiClient) -> None:
    payer, payee, key = api.funded_account("100.00"), api.open_account(), secrets.token_hex(8)
    first = place(api, payer, payee, "10.00", key, expires_at=in_(days=1))
    again = place(api, payer, payee, "10.00", key, expires_at=first.json()["expires_at"])
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true"), again.text
    assert again.json() == first.json()
    problem_of(place(api, payer, payee, "10.00", key, expires_at=in_(days=2)), 422, "idempotency_key_reused")
    captured, repeated = [step(api, first, "capture", key, amount="4.00") for _ in range(2)]
    assert (captured.status_code, repeated.status_code) == (201, 200), repeated.text
    assert captured.json()["id"] == repeated.json()["id"]
    problem_of(step(api, first, "capture", key, amount="5.00"), 422, "idempotency_key_reused")


def test_a_hold_that_expired_can_not_be_captured(api: ApiClient) -> None:
    payer, payee = api.funded_account("100.00"), api.open_account()
    hold = place(api, payer, payee, "60.00", expires_at=in_(seconds=8))
    assert hold.status_code == 201, hold.text
    eventually(lambda: look(api, hold, hold)["status"] == "expired", "the expiry is shown")
    problem_of(step(api, hold, "capture", amount="1.00"), 422, "hold_expired")
    voided = step(api, hold, "void")
    assert available(api, payer, voided) == "100.00"


@pytest.mark.parametrize("expires_at", ["2020-01-01T00:00:00Z", LATER, "0001-01-01T00:00:00+14:00"])
def test_a_hold_expires_within_31_days(api: ApiClient, expires_at: str) -> None:
    payer, payee = api.funded_account("1.00"), api.open_account()
    answer = place(api, payer, payee, "1.00", expires_at=expires_at)
    assert answer.status_code == 422, answer.text


def test_what_is_refused_when_a_hold_is_placed(api: ApiClient) -> None:
    payer, payee = api.funded_account("1.00"), api.open_account()
    problem_of(place(api, payer, payee, "1.01"), 422, "insufficient_funds")
    problem_of(place(api, payer, payer, "1.00"), 422, "same_account")
    problem_of(place(api, payer, payee, "1.00", currency="USD"), 422, "currency_mismatch")
    body = {"from_account": payer, "to_account": payee, "amount": "1.00", "currency": "EUR"}
    problem_of(api.post("/v1/holds", body), 422, "field_missing")
    problem_of(api.get(f"/v1/holds/{format_id(HOLD, bytes(16))}"), 404, "hold_not_found")


def test_a_hold_is_listed_at_both_its_sides(api: ApiClient) -> None:
    payer, payee = api.funded_account("9.00"), api.open_account()
    holds = [place(api, payer, payee, amount) for amount in ("1.00", "2.00", "3.00")]
    voided = step(api, holds[0], "void")
    open_ones = api.get("/v1/holds", voided, account=payer, status="open", limit="1").json()
    rest = api.get("/v1/holds", account=payer, status="open", cursor=open_ones["next_cursor"]).json()
    assert [one["amount"] for one in (*open_ones["items"], *rest["items"])] == ["3.00", "2.00"]
    assert (open_ones["has_more"], rest["has_more"]) == (True, False)
    ended = api.get("/v1/holds", account=payee, status="ended").json()["items"]
    assert [(one["id"], one["status"]) for one in ended] == [(holds[0].json()["id"], "voided")]


def test_a_hold_is_captured_and_voided_by_whom_it_was_promised_to(
    api: ApiClient, settings: Settings, api_url: str
) -> None:
    anna, shop = (customer(settings, api_url) for _ in range(2))
    payer, payee = anna().open_account(), shop().open_account()
    api.deposit(payer, "50.00")
    hold = place(anna(), payer, payee, "20.00")
    problem_of(step(anna(), hold, "void"), 403, "role_insufficient")
    problem_of(step(anna(), hold, "capture", amount="5.00"), 403, "role_insufficient")
    problem_of(step(shop(), hold, "increment", amount="5.00"), 403, "role_insufficient")
    assert step(shop(), hold, "capture", amount="5.00").status_code == 201
    assert step(anna(), hold, "increment", amount="5.00").status_code == 200
    assert step(shop(), hold, "void").status_code == 200


def customer(settings: Settings, api_url: str) -> Callable[[], ApiClient]:
    user = format_id(USER, secrets.token_bytes(16))
    client = ApiClient(api_url, issue_token(settings, user, CUSTOMER, 600))
    return lambda: client
