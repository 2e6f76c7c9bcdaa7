"""Goal: what the provider keeps for a dispute is stated with it, posted once, stays whoever wins, and is shown to
operators alone. The provider's answer to the charge is written by hand.
"""

import secrets
from uuid import UUID

import httpx
import psycopg
import pytest

from ingest_api.aliases.parties import USER
from ingest_api.identity.tokens import issue_token
from payments.identifiers import DISPUTE, format_id, parse_id, system_account
from payments.postings import SystemAccount
from runtime.settings import Settings
from tests.ingest_api.attempts.provider import bought
from tests.ingest_api.client import ApiClient, problem_of
from tests.ingest_api.disputes.test_disputes import CUSTOMER, WAIT, contest, resolve, sale

FEES = {"fee": "15.00", "provider_fee": "12.00"}


def contest_order(api: ApiClient, name: str, key: str | None = None, **fields: object) -> httpx.Response:
    return api.post("/v1/disputes", {"payment": name, **fields}, key, prefer=WAIT)


def legs_of(settings: Settings, dispute: httpx.Response) -> dict[str, int]:
    """What the dispute's opening has posted on accounts of the operator."""
    query = "SELECT account_id, sum(amount_minor) FROM postings WHERE journal_id = %s GROUP BY account_id"
    with psycopg.connect(settings.database_url) as tables:
        found = tables.execute(query, [journal_of(dispute)]).fetchall()
    names = {UUID(bytes=system_account(code, "EUR")): code.name for code in SystemAccount}
    return {names[account]: int(amount) for account, amount in found if account in names}


def journal_of(dispute: httpx.Response) -> UUID:
    parsed = parse_id(DISPUTE, dispute.json()["id"])
    assert parsed is not None
    return UUID(bytes=parsed)


@pytest.mark.parametrize(("outcome", "left_minor"), [("won", 60_00), ("lost", 0)])
def test_the_provider_s_fee_is_posted_and_stays_whoever_wins(
    api: ApiClient, settings: Settings, outcome: str, left_minor: int
) -> None:
    shop = api.open_account(type="merchant")
    dispute = contest_order(api, bought(api, settings, shop), **FEES)
    opened = dispute.json()
    assert (dispute.status_code, opened["status"]) == (201, "open"), dispute.text
    assert (opened["fee"], opened["provider_fee"], opened["provider_fee_minor"]) == ("15.00", "12.00", 12_00)
    assert (opened["owed"], opened["amount"]) == ("15.00", "60.00"), "the merchant owes its own fee alone"
    posted = {
        "DISPUTES": 60_00,
        "FEES": 15_00,
        "RECEIVABLES": -15_00,
        "PROVIDER_FEES": -12_00,
        "STRIPE_CLEARING": 12_00,
    }
    assert legs_of(settings, dispute) == posted
    ended = resolve(api, dispute, outcome)
    assert (ended.json()["status"], ended.json()["provider_fee"]) == (outcome, "12.00"), ended.text
    assert api.balance_minor(shop, ended) == left_minor, "not delivered: it waits, and pays no debt"
    assert legs_of(settings, dispute) == posted


def test_the_same_key_with_another_provider_s_fee_is_another_request(api: ApiClient, settings: Settings) -> None:
    name, key = bought(api, settings, api.open_account(type="merchant")), secrets.token_hex(8)
    first, again = [contest_order(api, name, key, **FEES) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200), again.text
    assert first.json()["id"] == again.json()["id"]
    assert again.json()["provider_fee"] == "12.00"
    problem_of(contest_order(api, name, key, fee="15.00", provider_fee="12.01"), 422, "idempotency_key_reused")
    problem_of(contest_order(api, name, key, fee="15.00"), 422, "idempotency_key_reused")


def test_a_provider_s_fee_is_a_decimal_of_the_payment_s_currency(api: ApiClient, settings: Settings) -> None:
    name = bought(api, settings, api.open_account(type="merchant"))
    wrong = {"-1": "amount_not_positive", "0.001": "amount_too_many_decimals", "x": "amount_invalid"}
    for text, code in wrong.items():
        refused = problem_of(contest_order(api, name, provider_fee=text), 422, code)
        assert refused["errors"][0]["pointer"] == "/provider_fee"
    opened = contest_order(api, name, provider_fee="0")
    assert (opened.status_code, opened.json()["provider_fee"]) == (201, None), opened.text


def test_a_payment_that_came_through_no_provider_has_no_provider_s_fee(api: ApiClient) -> None:
    _, _, paid = sale(api)
    refused = problem_of(contest(api, paid, provider_fee="12.00"), 422, "field_invalid")
    assert refused["errors"][0]["pointer"] == "/provider_fee"
    assert contest(api, paid, provider_fee="0.00").status_code == 201


def test_a_provider_s_fee_is_said_and_seen_by_operators_alone(api: ApiClient, settings: Settings, api_url: str) -> None:
    merchant = ApiClient(api_url, issue_token(settings, format_id(USER, secrets.token_bytes(16)), CUSTOMER, 600))
    shop = merchant.open_account(type="merchant")
    name = bought(api, settings, shop)
    problem_of(contest_order(merchant, name, provider_fee="1.00"), 403, "role_insufficient")
    dispute = contest_order(api, name, **FEES)
    path = f"/v1/disputes/{dispute.json()['id']}"
    (listed,) = api.get("/v1/disputes", dispute, account=shop).json()["items"]
    assert listed["provider_fee"] == api.get(path, dispute).json()["provider_fee"] == "12.00"
    (listed,) = merchant.get("/v1/disputes", dispute, account=shop).json()["items"]
    seen = merchant.get(path, dispute).json()
    accepted = merchant.post(f"{path}/accept", {}, prefer=WAIT).json()
    for shown in (listed, seen, accepted):
        assert (shown["fee"], shown["provider_fee"], shown["provider_fee_minor"]) == ("15.00", None, None)
