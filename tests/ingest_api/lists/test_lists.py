"""Goal: lists show what was asked for, all of it once, and nothing of others."""

import secrets

import pytest

from ingest_api.aliases.parties import USER
from ingest_api.identity.tokens import Scope, issue_token
from payments.identifiers import format_id
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, problem_of
from tests.support.waiting import eventually

CUSTOMER = (Scope.PAYMENTS_READ, Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_READ, Scope.ACCOUNTS_WRITE)


@pytest.fixture
def user() -> str:
    return format_id(USER, secrets.token_bytes(16))


@pytest.fixture
def anna(settings: Settings, api_url: str, user: str) -> ApiClient:
    return ApiClient(api_url, issue_token(settings, user, CUSTOMER, 600))


def test_a_user_lists_the_accounts_of_their_own(api: ApiClient, anna: ApiClient, user: str) -> None:
    checking, savings, dollars = anna.open_account(), anna.open_account(type="savings"), anna.open_account("USD")
    eventually(lambda: len(anna.get("/v1/accounts").json()["items"]) == 3, "three accounts in the list")
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = anna.http.get("/v1/accounts", params={"limit": "2", **cursor}).json()
        found += [one["id"] for one in page["items"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted([checking, savings, dollars]) == found
    assert [one["id"] for one in anna.get("/v1/accounts", type="savings").json()["items"]] == [savings]
    assert [one["id"] for one in api.get("/v1/accounts", user=user, currency="USD").json()["items"]] == [dollars]
    assert anna.get("/v1/accounts", status="frozen").json()["items"] == []
    assert len(api.get("/v1/accounts", limit="1").json()["items"]) == 1
    problem_of(anna.get("/v1/accounts", user=format_id(USER, b"7" * 16)), 404, "user_not_found")
    problem_of(anna.get("/v1/accounts", type="gold"), 422, "parameter_invalid")


def test_payments_are_listed_by_user_and_type(api: ApiClient, anna: ApiClient, user: str) -> None:
    first, second, others = anna.open_account(), anna.open_account(), api.open_account()
    paid_in = api.deposit(first, "30.00")
    between = anna.transfer(first, second, "10.00")
    out = anna.post(f"/v1/accounts/{second}/withdraw", {"amount": "4.00", "currency": "EUR"}, prefer="wait=20")
    paid = anna.transfer(second, others, "1.00")
    ids = [one.json()["id"] for one in (paid, out, between, paid_in)]
    assert [one["id"] for one in anna.get("/v1/transactions", paid, user=user).json()["items"]] == ids
    for type_, shown in (
        ("transfer", [ids[0], ids[2]]),
        ("withdrawal", [ids[1]]),
        ("deposit", [ids[3]]),
        ("refund", []),
    ):
        listed = anna.get("/v1/transactions", user=user, type=type_).json()["items"]
        assert [one["id"] for one in listed] == shown, type_
    of_second = anna.get("/v1/transactions", account=second, user=user).json()["items"]
    assert [one["id"] for one in of_second] == ids[:3]
    problem_of(anna.get("/v1/transactions", user=format_id(USER, b"7" * 16)), 404, "user_not_found")


def test_a_time_range_has_three_spellings(api: ApiClient) -> None:
    account = api.open_account()
    paid_in = api.deposit(account, "1.00")
    at, visible = paid_in.json()["posted_at"], {"Consistency-Token": paid_in.headers["Consistency-Token"]}
    for spelling in (("from", "to"), ("startTime", "endTime"), ("start", "end")):
        shown = [
            api.http.get("/v1/transactions", params={"account": account, bound: at}, headers=visible).json()["items"]
            for bound in spelling
        ]
        assert [len(items) for items in shown] == [1, 0], spelling


@pytest.mark.parametrize("path", ["/v1/accounts?user=anna", "/v1/transactions?user=anna", "/v1/ledger/anna"])
def test_a_service_that_names_no_user_is_told_so(api: ApiClient, path: str) -> None:
    """Who may look at every account would else be shown all of them, or an error on our side."""
    problem_of(api.http.get(path), 404, "user_not_found")
