"""Goal: a range that holds nothing, because it ends before it begins, is refused instead of shown as an empty page."""

import secrets

import pytest

from ingest_api.aliases.parties import USER
from ingest_api.app import make_fastapi
from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from payments.identifiers import format_id
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, problem_of

EARLY, LATE = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00+01:00"
SPELLINGS = (("from", "to"), ("startTime", "endTime"), ("startTime", "endtime"), ("start", "end"))
LISTS = sorted(
    path
    for path, methods in make_fastapi().openapi()["paths"].items()
    if {"from", "to"} <= {parameter["name"] for parameter in methods.get("get", {}).get("parameters", ())}
)
"""Every list between two times, by its document: one that is added is tried, too."""

OF_ACCOUNTS = {"/v1/holds", "/v1/disputes", "/v1/receivables"}


@pytest.fixture
def anyone(settings: Settings, api_url: str) -> ApiClient:
    """A user whom nobody knows: nothing of what is asked for is there."""
    return ApiClient(api_url, issue_token(settings, format_id(USER, secrets.token_bytes(16)), ALL_SCOPES, 600))


def test_the_lists_are_found() -> None:
    assert {"/v1/transactions", "/v1/transactions/{payment_id}", "/v1/events", "/v1/audit"} <= set(LISTS)
    assert {"/v1/ledger/{user_id}", "/v1/bankAccuonts/{user_id}", "/v1/user/{user_id}", "/v1/holds"} <= set(LISTS)


@pytest.mark.parametrize("path", LISTS)
def test_a_range_that_ends_before_it_begins_is_refused(anyone: ApiClient, path: str) -> None:
    """Answered 200 with an empty page before, which reads as: there is nothing."""
    at = path.replace("{account_id}", "acc_00000000000000000000000001").replace("{payment_id}", "usr_1")
    at = at.replace("{user_id}", "usr_00000000000000000000000001")
    for begins, ends in SPELLINGS:
        query = {begins: LATE, ends: EARLY} | ({"account": "acc_1"} if path in OF_ACCOUNTS else {})
        problem = problem_of(anyone.get(at, None, **query), 422, "parameter_invalid")
        assert [error["pointer"] for error in problem["errors"]] == [f"?{ends}"]
        assert problem["detail"].startswith(f"{ends}: It is before {begins}")


def test_a_day_is_a_range_too(anyone: ApiClient) -> None:
    user = anyone.get("/v1/transactions", None, **{"from": "2026-11-03", "date": "2026-11-01"})
    assert problem_of(user, 422, "parameter_invalid")["detail"].startswith("date: It is before from")


def test_amounts_that_no_payment_is_between_are_refused(anyone: ApiClient) -> None:
    amounts = {"min_amount": "10.00", "max_amount": "9.99", "currency": "EUR"}
    problem = problem_of(anyone.get("/v1/transactions", None, **amounts), 422, "parameter_invalid")
    assert [error["pointer"] for error in problem["errors"]] == ["?max_amount"]


def test_a_range_of_one_moment_is_empty_and_taken(api: ApiClient) -> None:
    """Whoever asks for what came since the last time may ask twice within a microsecond."""
    shown = api.get("/v1/events", None, **{"from": EARLY, "to": EARLY})
    assert (shown.status_code, shown.json()["items"]) == (200, [])
