"""Goal: money comes in and goes out by every method, and is available when the method's rule says."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ingest_api.aliases.parties import USER
from ingest_api.identity.tokens import Scope, issue_token
from payments.identifiers import ACCOUNT, PAYMENT, format_id
from payments.terms.methods import TERMS, Method, method_account
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, problem_of

WAIT = "wait=20"


def pay_in(api: ApiClient, account: str, method: str, amount: str = "60.00", key: str | None = None) -> httpx.Response:
    body = {"amount": amount, "currency": "EUR", "method": method}
    return api.post(f"/v1/accounts/{account}/deposit", body, key, prefer=WAIT)


def pay_out(api: ApiClient, account: str, method: str, amount: str, key: str | None = None) -> httpx.Response:
    body = {"amount": amount, "currency": "EUR", "method": method}
    return api.post(f"/v1/accounts/{account}/withdraw", body, key, prefer=WAIT)


def step(api: ApiClient, deposit: str, name: str, after: httpx.Response, key: str | None = None, **body: str) -> Any:
    token = after.headers["Consistency-Token"]
    return api.post(f"/v1/deposits/{deposit}/{name}", body, key, prefer=WAIT, consistency_token=token)


def held(api: ApiClient, account: str, after: httpx.Response) -> tuple[str, str]:
    balance = api.get(f"/v1/accounts/{account}/balance", after).json()
    return balance["available"], balance["incoming"]


@pytest.mark.parametrize("method", [method.value for method in Method])
def test_a_deposit_is_available_as_its_method_says(api: ApiClient, method: str) -> None:
    account = api.open_account()
    answer = pay_in(api, account, method)
    assert answer.status_code == 201, answer.text
    assert answer.json()["from_account"] == format_id(ACCOUNT, method_account(Method(method), "EUR"))
    at_once = TERMS[Method(method)].is_collected_at_once
    assert held(api, account, answer) == (("60.00", "0.00") if at_once else ("0.00", "60.00"))
    shown = api.get(f"/v1/deposits/{answer.json()['id']}").json()
    assert (shown["method"], shown["status"]) == (method, "available" if at_once else "uncollected")


def test_a_check_is_available_once_it_clears(api: ApiClient) -> None:
    account = api.open_account()
    paid_in = pay_in(api, account, "check")
    deposit = paid_in.json()["id"]
    cleared = step(api, deposit, "clear", paid_in, key="c")
    assert (cleared.status_code, cleared.json()["status"]) == (200, "available"), cleared.text
    assert held(api, account, cleared) == ("60.00", "0.00")
    again = step(api, deposit, "clear", paid_in, key="c")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    problem_of(step(api, deposit, "clear", paid_in), 404, "deposit_not_found")


def test_a_check_that_bounces_was_never_available(api: ApiClient) -> None:
    account = api.open_account()
    paid_in = pay_in(api, account, "check")
    problem_of(step(api, paid_in.json()["id"], "return", paid_in, code="R01"), 422, "return_code_unknown")
    back = step(api, paid_in.json()["id"], "return", paid_in, code="A")
    assert (back.json()["status"], back.json()["return_code"]) == ("returned", "A"), back.text
    assert held(api, account, back) == ("0.00", "0.00")
    assert api.balance_minor(account, back) == 0
    problem_of(step(api, paid_in.json()["id"], "return", paid_in, code="A"), 422, "refund_exceeds_payment")
    problem_of(step(api, paid_in.json()["id"], "clear", paid_in), 404, "deposit_not_found")


def test_wages_that_come_back_after_they_were_spent_are_owed(api: ApiClient) -> None:
    account, shop = api.open_account(), api.open_account()
    paid_in = pay_in(api, account, "payroll")
    spent = api.transfer(account, shop, "45.00")
    back = step(api, paid_in.json()["id"], "return", spent, code="R01")
    assert back.json()["status"] == "returned", back.text
    assert held(api, account, back) == ("0.00", "0.00")


@pytest.mark.parametrize("method", ["cash", "wire", "check"])
def test_a_withdrawal_is_a_transfer_to_its_methods_clearing_account(api: ApiClient, method: str) -> None:
    account = api.funded_account("100.00")
    key = secrets.token_hex(8)
    first, again = [pay_out(api, account, method, "40.00", key) for _ in range(2)]
    assert (first.status_code, first.json()["status"], again.status_code) == (201, "posted", 200), first.text
    assert first.json()["to_account"] == format_id(ACCOUNT, method_account(Method(method), "EUR"))
    assert held(api, account, again) == ("60.00", "0.00")
    problem_of(pay_out(api, account, method, "40.01", key), 422, "idempotency_key_reused")
    problem_of(pay_out(api, account, method, "60.01"), 422, "insufficient_funds")


CODES = {
    "check": "A",
    "payroll": "R03",
    "direct_debit": "AC04",
    "wire": "AC04",
    "pre_authorised": "R10",
    "money_order": "B",
}
"""Of all others: a word of the provider's own; cash does not come back."""


def back(api: ApiClient, paid_out: httpx.Response, code: str, key: str | None = None) -> httpx.Response:
    token = paid_out.headers["Consistency-Token"]
    path = f"/v1/withdrawals/{paid_out.json()['id']}/return"
    return api.post(path, {"code": code}, key, prefer=WAIT, consistency_token=token)


@pytest.mark.parametrize("method", [method.value for method in Method if method is not Method.CASH])
def test_a_withdrawal_that_comes_back_is_the_accounts_again(api: ApiClient, method: str) -> None:
    """Nothing could take it back: the route for deposits knew no such payment."""
    account, code = api.funded_account("100.00"), CODES.get(method, "account_closed")
    paid_out = pay_out(api, account, method, "40.00")
    problem_of(back(api, paid_out, "Z99"), 422, "return_code_unknown")
    returned = back(api, paid_out, code)
    shown = returned.json()
    assert (returned.status_code, shown["status"], shown["return_code"]) == (200, "returned", code), returned.text
    assert held(api, account, returned) == ("100.00", "0.00")
    assert api.get(f"/v1/withdrawals/{shown['id']}").json() == shown
    journal = api.get(f"/v1/journals/{shown['return_journal_id']}").json()
    clearing = format_id(ACCOUNT, method_account(Method(method), "EUR"))
    legs = {(leg["account"], leg["side"], leg["amount"]) for leg in journal["legs"]}
    assert (legs, journal["reason"]) == ({(account, "credit", "40.00"), (clearing, "debit", "40.00")}, code)


@pytest.mark.parametrize(("fee", "left", "sent"), [("wire", "55.00", "40.00"), ("payout", "60.00", "39.60")])
def test_of_a_withdrawal_with_a_fee_the_rest_comes_back(api: ApiClient, fee: str, left: str, sent: str) -> None:
    """It could not be asked for: 422 legs_invalid, whatever its legs. The operator has earned the fee."""
    account, key = api.funded_account("100.00"), secrets.token_hex(8)
    body = {"amount": "40.00", "currency": "EUR", "method": "wire", "fee": fee}
    paid_out, again = [api.post(f"/v1/accounts/{account}/withdraw", body, key, prefer=WAIT) for _ in range(2)]
    assert (paid_out.status_code, again.status_code) == (201, 200), paid_out.text
    assert held(api, account, paid_out) == (left, "0.00")
    returned = back(api, paid_out, "AC04")
    shown = returned.json()
    assert (returned.status_code, shown["status"]) == (200, "returned"), returned.text
    assert Decimal(shown["amount"]) - Decimal(shown["fee"]) == Decimal(sent)
    assert held(api, account, returned) == (f"{Decimal(left) + Decimal(sent):.2f}", "0.00")
    journal = api.get(f"/v1/journals/{shown['return_journal_id']}").json()
    wire = format_id(ACCOUNT, method_account(Method.WIRE, "EUR"))
    legs = {(leg["account"], leg["side"], leg["amount"]) for leg in journal["legs"]}
    assert legs == {(account, "credit", sent), (wire, "debit", sent)}


def test_money_leaves_in_the_currency_of_its_account(api: ApiClient) -> None:
    account = api.funded_account("100.00")
    asked = {"sell_currency": "EUR", "buy_currency": "USD", "amount": "40.00"}
    quote = api.post("/v1/fx/quotes", asked).json()["id"]
    wire = format_id(ACCOUNT, method_account(Method.WIRE, "USD"))
    answer = api.transfer(account, wire, "40.00", quote_id=quote)
    assert problem_of(answer, 422, "field_invalid")["errors"][0]["pointer"] == "/quote_id"
    dollars = api.open_account("USD")
    assert api.transfer(account, dollars, "40.00", quote_id=quote).status_code == 201, "the quote was not used up"
    out = {"amount": "44.00", "currency": "USD", "method": "wire"}
    paid_out = api.post(f"/v1/accounts/{dollars}/withdraw", out, prefer=WAIT)
    assert back(api, paid_out, "AC04").json()["status"] == "returned"
    assert held(api, dollars, paid_out) == ("44.00", "0.00")


def test_a_withdrawal_comes_back_once(api: ApiClient) -> None:
    """By whatever key, and by many at a time."""
    account = api.funded_account("100.00")
    paid_out = pay_out(api, account, "wire", "40.00")
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: back(api, paid_out, "AC04"), range(8)))
    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "returned")}
    (did_it,) = (answer for answer in answers if "Idempotency-Replayed" not in answer.headers)
    again = back(api, paid_out, "AC04")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    problem_of(back(api, paid_out, "AC06"), 422, "refund_exceeds_payment")
    assert held(api, account, did_it) == ("100.00", "0.00")


def test_a_return_that_the_account_could_not_take_may_be_told_again(api: ApiClient) -> None:
    account = api.funded_account("100.00")
    paid_out = pay_out(api, account, "wire", "40.00")
    frozen = api.http.put(f"/v1/accounts/{account}", json={"status": "frozen"}, headers={"Prefer": WAIT})
    assert frozen.status_code == 200, frozen.text
    for _ in range(2):
        problem_of(back(api, paid_out, "AC04"), 422, "payee_frozen")
    assert api.get(f"/v1/withdrawals/{paid_out.json()['id']}").json()["status"] == "posted"
    api.http.put(f"/v1/accounts/{account}", json={"status": "open"}, headers={"Prefer": WAIT})
    assert back(api, paid_out, "AC04").json()["status"] == "returned"


def test_only_what_was_withdrawn_comes_back(api: ApiClient) -> None:
    account = api.funded_account("100.00")
    problem_of(back(api, pay_out(api, account, "cash", "1.00"), "R01"), 422, "return_code_unknown")
    problem_of(back(api, api.transfer(account, api.open_account(), "1.00"), "AC04"), 404, "payment_not_found")
    problem_of(back(api, pay_in(api, account, "wire"), "AC04"), 404, "payment_not_found")


def test_a_deposit_nobody_made_can_not_be_cleared(api: ApiClient) -> None:
    account = api.funded_account("1.00")
    transfer = api.transfer(account, api.open_account(), "1.00")
    problem_of(step(api, transfer.json()["id"], "clear", transfer), 404, "deposit_not_found")
    problem_of(step(api, format_id(PAYMENT, b"\x7f" * 16), "clear", transfer), 404, "deposit_not_found")


def test_an_unknown_method_is_refused_at_its_place(api: ApiClient) -> None:
    document = problem_of(pay_in(api, api.open_account(), "barter"), 422, "field_invalid")
    assert document["errors"][0]["pointer"] == "/method"


class TestWallets:
    """A wallet is the account of each currency that its user's id stands for."""

    @pytest.fixture
    def anna(self, settings: Settings, api_url: str) -> ApiClient:
        scopes = (Scope.PAYMENTS_READ, Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_READ, Scope.ACCOUNTS_WRITE)
        user = format_id(USER, secrets.token_bytes(16).replace(b"\xff", b"\x00")[:15] + b"\x01")
        client = ApiClient(api_url, issue_token(settings, user, scopes, 600))
        client.http.headers["X-User"] = user
        return client

    def test_what_is_credited_can_be_debited(self, api: ApiClient, anna: ApiClient) -> None:
        user, account = anna.http.headers["X-User"], anna.open_account(type="wallet")
        body = {"amount": "30.00", "currency": "EUR"}
        credited = api.post("/v1/wallet/credit", body | {"user": user}, "k", prefer=WAIT)
        assert (credited.status_code, credited.json()["to_account"]) == (201, account), credited.text
        assert api.post("/v1/wallet/credit", body | {"user": user}, "k", prefer=WAIT).status_code == 200
        debited = anna.post("/v1/wallet/debit", body | {"amount": "12.50"}, prefer=WAIT)
        assert debited.status_code == 201, debited.text
        wallet = anna.get("/v1/wallet/balance", debited).json()
        assert [(one["account"], one["available"]) for one in wallet["balances"]] == [(account, "17.50")]
        assert api.get("/v1/wallet/balance", debited, user=user, currency="USD").json()["balances"] == []

    def test_a_user_creates_no_money(self, anna: ApiClient) -> None:
        anna.open_account()
        body = {"amount": "30.00", "currency": "EUR"}
        problem_of(anna.post("/v1/wallet/credit", body), 403, "role_insufficient")
        problem_of(anna.post("/v1/wallet/debit", body | {"currency": "USD"}), 404, "alias_not_found")

    def test_a_service_says_whose_wallet_it_means(self, api: ApiClient) -> None:
        body = {"amount": "30.00", "currency": "EUR"}
        problem_of(api.post("/v1/wallet/credit", body), 422, "field_invalid")
        problem_of(api.post("/v1/wallet/credit", body | {"user": "anna"}), 422, "field_invalid")
        assert api.http.get("/v1/wallet/balance").status_code == 422
