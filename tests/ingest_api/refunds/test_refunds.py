"""Goal: a payment is given back at most once over, by who received it."""

import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from payments.identifiers import PAYMENT, format_id
from tests.ingest_api.client import ApiClient, problem_of

WAIT = "wait=20"


def sale(api: ApiClient) -> tuple[str, str, httpx.Response]:
    """Customer, merchant, and a payment of 100.00 between them."""
    customer, shop = api.funded_account("100.00"), api.open_account(type="merchant")
    return customer, shop, api.transfer(customer, shop, "100.00")


def refund(api: ApiClient, paid: httpx.Response, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {"prefer": WAIT, "consistency_token": paid.headers["Consistency-Token"]}
    return api.post(f"/v1/transfers/{paid.json()['id']}/refunds", body, key, **headers)


def test_refunds_in_parts_never_exceed_the_payment(api: ApiClient) -> None:
    customer, shop, paid = sale(api)
    first, second = refund(api, paid, amount="60.00", description="Torn"), refund(api, paid, amount="60.00")
    assert (first.status_code, first.json()["status"], first.json()["to_account"]) == (201, "posted", customer)
    problem_of(second, 422, "refund_exceeds_payment")
    rest = refund(api, paid, amount="40.00")
    assert rest.status_code == 201, rest.text
    assert (api.balance_minor(customer, rest), api.balance_minor(shop, rest)) == (10_000, 0)


def test_refunds_at_once_never_exceed_the_payment(api: ApiClient) -> None:
    customer, shop, paid = sale(api)
    api.deposit(shop, "100.00")  # the merchant could afford both
    with ThreadPoolExecutor(2) as callers:
        answers = list(callers.map(lambda _: refund(api, paid, amount="60.00"), range(2)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 1}
    problem_of(max(answers, key=lambda answer: answer.status_code), 422, "refund_exceeds_payment")
    assert api.balance_minor(customer, min(answers, key=lambda answer: answer.status_code)) == 6_000


def test_the_same_key_refunds_once_and_the_other_route_means_the_same(api: ApiClient) -> None:
    customer, _, paid = sale(api)
    key = secrets.token_hex(8)
    first = refund(api, paid, key)
    again = api.post(f"/v1/refunds/{paid.json()['id']}", {}, key, prefer=WAIT)
    assert (first.status_code, again.status_code) == (201, 200), again.text
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    problem_of(refund(api, paid, key, amount="1.00"), 422, "idempotency_key_reused")
    assert api.balance_minor(customer, again) == 10_000


def test_what_can_not_be_given_back(api: ApiClient) -> None:
    _, shop, paid = sale(api)
    api.transfer(shop, api.open_account(), "99.00")
    problem_of(refund(api, paid, amount="50.00"), 422, "insufficient_funds")
    between_friends = api.transfer(api.funded_account("1.00"), api.open_account(), "1.00")
    problem_of(refund(api, between_friends), 422, "payment_not_refundable")
    nobodys = api.post(f"/v1/transfers/{format_id(PAYMENT, b'7' * 16)}/refunds", {})
    problem_of(nobodys, 404, "payment_not_found")
