"""Goal: a journal is posted whole or not at all, once, and a user sees the entries of their accounts alone."""

import secrets
from typing import Any

import httpx
import pytest

from ingest_api.aliases.parties import USER
from ingest_api.identity.tokens import Scope, issue_token
from payments.identifiers import JOURNAL, format_id
from payments.movements.journals import MAX_LEGS
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, problem_of

WAIT = "wait=20"
CUSTOMER = (Scope.PAYMENTS_READ, Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_READ, Scope.ACCOUNTS_WRITE)


def leg(account: str, side: str, amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"account": account, "side": side, "amount": amount, "currency": currency}


def post(api: ApiClient, *legs: dict[str, str], key: str | None = None, **fields: Any) -> httpx.Response:
    return api.post("/v1/ledger", {"legs": list(legs), **fields}, key, prefer=WAIT)


def test_a_journal_of_several_accounts_is_posted_whole(api: ApiClient) -> None:
    anna, bert, shop = api.funded_account("50.00"), api.funded_account("50.00"), api.open_account()
    legs = (leg(anna, "debit", "20.00"), leg(bert, "debit", "30.00"), leg(shop, "credit", "49.00"))
    posted = post(api, *legs, leg("fees", "credit", "1.00"), description="Joint bill")
    assert (posted.status_code, posted.json()["status"]) == (201, "posted"), posted.text
    seen = api.get(posted.headers["Location"], posted).json()
    assert [(one["side"], one["amount"]) for one in seen["legs"]] == [
        ("debit", "20.00"),
        ("debit", "30.00"),
        ("credit", "49.00"),
        ("credit", "1.00"),
    ]
    assert (seen["legs"][3]["account_name"], seen["description"]) == ("fees", "Joint bill")
    assert [api.balance_minor(account, posted) for account in (anna, bert, shop)] == [3000, 2000, 4900]


def test_an_amount_is_divided_to_the_cent(api: ApiClient) -> None:
    buyer, seller, courier = api.funded_account("50.00"), api.open_account(), api.open_account()
    market = {"from_account": buyer, "amount": "4.55", "currency": "EUR", "remainder_to": seller}
    shares = [{"account": "fees", "basis_points": 500, "fixed": "0.30"}, {"account": courier, "fixed": "4.00"}]
    key = secrets.token_hex(8)
    first, again = [api.post("/v1/ledger/splits", market | {"shares": shares}, key, prefer=WAIT) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200), first.text
    assert [one["amount"] for one in first.json()["legs"]] == ["4.55", "0.52", "4.00", "0.03"]
    assert [api.balance_minor(account, first) for account in (buyer, courier, seller)] == [4_545, 400, 3]
    for wrong, pointer in (
        ({"amount": "4.00", "shares": shares}, "/amount"),
        ({"shares": [*shares, {"account": seller, "basis_points": 1}]}, "/shares"),
        ({"shares": [{"account": "acc_x"}]}, "/shares/0/account"),
        ({"shares": shares, "remainder_to": None}, "/shares"),
    ):
        refused = problem_of(api.post("/v1/ledger/splits", market | wrong), 422, "field_invalid")
        assert refused["errors"][0]["pointer"] == pointer


def test_an_adjustment_names_its_break(api: ApiClient) -> None:
    legs = (leg("suspense", "debit", "0.50"), leg("cash_clearing", "credit", "0.50"))
    key = secrets.token_hex(8)
    first, again = [post(api, *legs, key=key, reason="brk_4711") for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200), again.text
    assert again.headers["Idempotency-Replayed"] == "true"
    assert api.get(first.headers["Location"], first).json() == again.json()
    assert again.json()["reason"] == "brk_4711"
    problem_of(post(api, *legs, key=key, reason="brk_4712"), 422, "idempotency_key_reused")


def test_one_leg_that_can_not_be_posted_cancels_all(api: ApiClient) -> None:
    anna, bert, shop = api.funded_account("50.00"), api.open_account(), api.open_account()
    legs = (leg(anna, "debit", "20.00"), leg(bert, "debit", "0.01"), leg(shop, "credit", "20.01"))
    key = secrets.token_hex(8)
    refused = post(api, *legs, key=key)
    problem_of(refused, 422, "insufficient_funds")
    again = post(api, *legs, key=key)
    problem_of(again, 422, "insufficient_funds")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert api.get(f"/v1/accounts/{anna}/balance", again).json()["available"] == "50.00"
    assert api.balance_minor(shop, again) == 0


@pytest.mark.parametrize(
    ("legs", "code"),
    [
        ((leg("suspense", "debit", "1.00"), leg("fees", "credit", "1.01")), "journal_unbalanced"),
        ((leg("suspense", "debit", "1.00"), leg("fees", "credit", "1.00", "USD")), "journal_unbalanced"),
        ((leg("suspense", "debit", "1.00"), leg("fees", "credit", "0.00")), "amount_not_positive"),
        ((leg("suspense", "debit", "1.00"), leg("fees", "credit", "1.001")), "amount_too_many_decimals"),
        ((leg("suspense", "debit", "1.00"), leg("vault", "credit", "1.00")), "field_invalid"),
        ((leg("suspense", "left", "1.00"), leg("fees", "credit", "1.00")), "field_invalid"),
        ((leg("suspense", "debit", "1.00"),), "field_invalid"),
        (tuple(leg("suspense", "debit", "1.00") for _ in range(MAX_LEGS + 1)), "field_invalid"),
    ],
    ids=["unbalanced", "by currency", "zero", "decimals", "name", "side", "one leg", "too many"],
)
def test_what_is_no_journal_is_refused(api: ApiClient, legs: tuple[dict[str, str], ...], code: str) -> None:
    problem_of(post(api, *legs), 422, code)


def test_the_largest_journal_fits_one_body(api: ApiClient) -> None:
    payer = api.funded_account("63.00")
    legs = [leg(payer, "debit", "63.00"), *(leg("suspense", "credit", "1.00") for _ in range(MAX_LEGS - 1))]
    posted = post(api, *legs, description="ä" * 140)
    assert posted.status_code == 201, posted.text


def test_a_journal_needs_a_scope_of_its_own(caller_with: Any) -> None:
    service = caller_with(*CUSTOMER, Scope.ACCOUNTS_ANY, Scope.ACCOUNTS_OPERATE)
    problem_of(
        post(service, leg("suspense", "debit", "1.00"), leg("fees", "credit", "1.00")), 403, "scope_insufficient"
    )


def user(settings: Settings, api_url: str) -> tuple[str, ApiClient]:
    name = format_id(USER, secrets.token_bytes(16))
    return name, ApiClient(api_url, issue_token(settings, name, CUSTOMER, 600))


def test_a_users_ledger_has_the_entries_of_all_accounts(api: ApiClient, settings: Settings, api_url: str) -> None:
    name, anna = user(settings, api_url)
    first, second = anna.open_account(), anna.open_account("EUR", type="savings")
    last = [api.deposit(first, "10.00"), anna.transfer(first, second, "4.00"), api.deposit(second, "1.00")][-1]
    shown = anna.get(f"/v1/ledger/{name}", last).json()
    told = [(one["account"], one["kind"], one["amount"], one["balance"]) for one in shown["items"]]
    assert told[0] == (second, "deposit", "1.00", "5.00")
    assert sorted(told[1:3]) == sorted([(first, "transfer", "-4.00", "6.00"), (second, "transfer", "4.00", "4.00")])
    assert told[3] == (first, "deposit", "10.00", "10.00")
    pages: list[list[str]] = []
    cursor: dict[str, str] = {}
    while True:
        page = anna.http.get(f"/v1/ledger/{name}", params={"limit": "1", **cursor}).json()
        pages.append([one["journal_id"] for one in page["items"]])
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [len(page) for page in pages] == [1, 2, 1]
    assert [one for page in pages for one in page] == [one["journal_id"] for one in shown["items"]]
    assert anna.get(f"/v1/ledger/{name}", start="2020-01-01", end="2020-02-01").json()["items"] == []
    problem_of(user(settings, api_url)[1].get(f"/v1/ledger/{name}"), 404, "user_not_found")


def test_who_is_one_leg_of_many_sees_that_leg(api: ApiClient, settings: Settings, api_url: str) -> None:
    _, anna = user(settings, api_url)
    employer, hers, others = api.funded_account("30.00"), anna.open_account(), api.open_account()
    wages = (leg(employer, "debit", "30.00"), leg(hers, "credit", "20.00"), leg(others, "credit", "10.00"))
    posted = post(api, *wages)
    seen = anna.get(posted.headers["Location"], posted).json()
    assert [(one["account"], one["amount"]) for one in seen["legs"]] == [(hers, "20.00")]
    paid = anna.transfer(hers, others, "1.00")
    assert len(anna.get(f"/v1/journals/{paid.json()['id']}", paid).json()["legs"]) == 2
    problem_of(user(settings, api_url)[1].get(posted.headers["Location"]), 404, "journal_not_found")
    problem_of(anna.get(f"/v1/journals/{format_id(JOURNAL, b'7' * 16)}"), 404, "journal_not_found")
