"""Goal: a payment is contested at most once over, the merchant's money lies with neither side until it is resolved,
and what the merchant no longer has is owed, paid or given up.
"""

import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from ingest_api.aliases.parties import USER
from ingest_api.identity.tokens import Scope, issue_token
from payments.identifiers import DISPUTE, RECEIVABLE, format_id
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, problem_of

WAIT = "wait=20"
CUSTOMER = (Scope.PAYMENTS_READ, Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_READ, Scope.ACCOUNTS_WRITE)
PROOF = "0123456789abcdef" * 4


def sale(api: ApiClient, amount: str = "100.00") -> tuple[str, str, httpx.Response]:
    """Customer, merchant, and the payment between them."""
    customer, shop = api.funded_account(amount), api.open_account(type="merchant")
    return customer, shop, api.transfer(customer, shop, amount)


def contest(api: ApiClient, paid: httpx.Response, key: str | None = None, **fields: Any) -> httpx.Response:
    headers = {"prefer": WAIT, "consistency_token": paid.headers["Consistency-Token"]}
    return api.post("/v1/disputes", {"payment": paid.json()["id"], **fields}, key, **headers)


def step(api: ApiClient, of: httpx.Response, path: str, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {"prefer": WAIT, "consistency_token": of.headers["Consistency-Token"]}
    return api.post(path, body, key, **headers)


def resolve(api: ApiClient, dispute: httpx.Response, outcome: str) -> httpx.Response:
    return step(api, dispute, f"/v1/disputes/{dispute.json()['id']}/resolve", outcome=outcome)


def test_a_dispute_that_the_merchant_wins_gives_the_money_back(api: ApiClient) -> None:
    customer, shop, paid = sale(api)
    dispute = contest(api, paid, fee="15.00", description="Never arrived")
    opened = dispute.json()
    assert (dispute.status_code, opened["status"], opened["amount"]) == (201, "open", "100.00"), dispute.text
    assert (opened["payment_id"], opened["merchant_account"]) == (paid.json()["id"], shop)
    assert (opened["owed"], opened["fee"], opened["description"]) == ("15.00", "15.00", "Never arrived")
    proven = step(api, dispute, f"/v1/disputes/{opened['id']}/evidence", sha256=PROOF)
    assert [one["sha256"] for one in proven.json()["evidence"]] == [PROOF], proven.text
    won = resolve(api, dispute, "won")
    assert (won.status_code, won.json()["status"]) == (200, "won"), won.text
    assert won.json()["resolved_at"] is not None
    assert (api.balance_minor(shop, won), api.balance_minor(customer, won)) == (8500, 0)
    problem_of(resolve(api, dispute, "lost"), 404, "dispute_not_found")


def test_a_dispute_that_the_merchant_accepts_pays_the_customer(api: ApiClient) -> None:
    customer, shop, paid = sale(api)
    dispute = contest(api, paid, amount="40.00")
    accepted = step(api, dispute, f"/v1/disputes/{dispute.json()['id']}/accept")
    assert (accepted.status_code, accepted.json()["status"]) == (200, "lost"), accepted.text
    assert (api.balance_minor(shop, accepted), api.balance_minor(customer, accepted)) == (6000, 4000)


def test_a_provisional_credit_is_there_at_once_and_taken_back(api: ApiClient) -> None:
    customer, _, paid = sale(api)
    dispute = contest(api, paid, provisional=True)
    assert api.balance_minor(customer, dispute) == 10_000
    won = resolve(api, dispute, "won")
    assert api.balance_minor(customer, won) == 0


def test_disputes_at_once_never_exceed_the_payment(api: ApiClient) -> None:
    _, _, paid = sale(api)
    with ThreadPoolExecutor(2) as callers:
        answers = list(callers.map(lambda _: contest(api, paid, amount="60.00"), range(2)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 1}
    problem_of(max(answers, key=lambda answer: answer.status_code), 422, "refund_exceeds_payment")


def test_the_same_key_is_the_same_dispute(api: ApiClient) -> None:
    _, _, paid = sale(api)
    key = secrets.token_hex(8)
    first, again = [contest(api, paid, key, amount="10.00") for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200), again.text
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    problem_of(contest(api, paid, key, amount="11.00"), 422, "idempotency_key_reused")


def test_only_what_a_merchant_received_can_be_contested(api: ApiClient) -> None:
    paid = api.transfer(api.funded_account("1.00"), api.open_account(), "1.00")
    problem_of(contest(api, paid), 422, "payment_not_refundable")
    problem_of(contest(api, paid, amount="0"), 422, "amount_not_positive")
    problem_of(api.post("/v1/disputes", {"payment": "order-nobody"}), 404, "payment_not_found")
    bad = step(api, paid, f"/v1/disputes/{format_id(DISPUTE, b'7' * 16)}/evidence", sha256="proof")
    problem_of(bad, 422, "field_invalid")


def test_who_may_do_what_to_a_dispute(api: ApiClient, settings: Settings, api_url: str) -> None:
    anna, shop = (user(settings, api_url) for _ in range(2))
    payer, payee = anna.open_account(), shop.open_account(type="merchant")
    api.deposit(payer, "50.00")
    paid = anna.transfer(payer, payee, "50.00")
    problem_of(contest(shop, paid), 403, "role_insufficient")
    problem_of(contest(anna, paid, provisional=True), 403, "scope_insufficient")
    dispute = contest(anna, paid)
    assert dispute.status_code == 201, dispute.text
    problem_of(step(anna, dispute, f"/v1/disputes/{dispute.json()['id']}/accept"), 403, "role_insufficient")
    problem_of(resolve(shop, dispute, "won"), 403, "role_insufficient")
    problem_of(user(settings, api_url).get(f"/v1/disputes/{dispute.json()['id']}"), 404, "dispute_not_found")
    for one, account in ((anna, payer), (shop, payee)):
        listed = one.get("/v1/disputes", account=account, status="open").json()["items"]
        assert [found["id"] for found in listed] == [dispute.json()["id"]]
    assert step(shop, dispute, f"/v1/disputes/{dispute.json()['id']}/accept").status_code == 200
    assert anna.get("/v1/disputes", account=payer, status="open").json()["items"] == []


def user(settings: Settings, api_url: str) -> ApiClient:
    return ApiClient(api_url, issue_token(settings, format_id(USER, secrets.token_bytes(16)), CUSTOMER, 600))


def test_a_debt_is_recovered_in_part_and_the_rest_written_off(api: ApiClient) -> None:
    _, shop, paid = sale(api)
    spent = api.transfer(shop, api.open_account(), "90.00")
    dispute = contest(api, paid)
    owed = dispute.json()["receivable_id"]
    debts = api.get("/v1/receivables", dispute, account=shop).json()["items"]
    assert [(one["id"], one["status"], one["owed"]) for one in debts] == [(owed, "open", "90.00")], spent.text
    earned = api.deposit(shop, "30.00")
    path = f"/v1/receivables/{owed}"
    problem_of(step(api, earned, f"{path}/recover", amount="90.01"), 422, "receivable_exceeded")
    problem_of(step(api, earned, f"{path}/recover", amount="30.01"), 422, "insufficient_funds")
    recovered, again = [step(api, earned, f"{path}/recover", "r", amount="30.00") for _ in range(2)]
    assert (recovered.status_code, recovered.json()["owed"]) == (200, "60.00"), recovered.text
    assert (again.json()["owed"], again.headers["Idempotency-Replayed"]) == ("60.00", "true")
    given_up = step(api, earned, f"{path}/write-off")
    assert (given_up.json()["status"], given_up.json()["owed"]) == ("written_off", "0.00"), given_up.text
    assert api.get(path, given_up).json()["status"] == "written_off"
    problem_of(step(api, earned, f"{path}/write-off"), 404, "receivable_not_found")
    problem_of(api.get(f"/v1/receivables/{format_id(RECEIVABLE, b'7' * 16)}"), 404, "receivable_not_found")
