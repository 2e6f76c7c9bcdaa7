"""Goal: a transfer can be scheduled, looked at, changed, paused and cancelled, and the pipeline pays it."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.ingest_api.client import ApiClient, problem_of
from tests.support.waiting import eventually

PATH = "/v1/scheduled-transfers"


def wall(**later: int) -> str:
    """A time from now on the wall clock in UTC."""
    return (datetime.now(UTC) + timedelta(**later)).replace(microsecond=0, tzinfo=None).isoformat()


class Customer:
    """Orders schedules from a funded account."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self.payer, self.payee = api.funded_account("50.00"), api.open_account()

    def body(self, **fields: Any) -> dict[str, Any]:
        parties = {"from_account": self.payer, "to_account": self.payee}
        return parties | {"amount": "10.50", "currency": "EUR", "memo": "rent", "starts": wall(days=30)} | fields

    def orders(self, key: str | None = None, **fields: Any) -> httpx.Response:
        return self.api.post(PATH, self.body(**fields), key)

    def ordered(self, **fields: Any) -> str:
        response = self.orders(**fields)
        assert response.status_code == 201, response.text
        path: str = response.headers["Location"]
        return path

    def patch(self, path: str, if_match: str | None = None, **fields: Any) -> httpx.Response:
        return self.api.http.patch(path, json=fields, headers={"If-Match": if_match} if if_match else {})


@pytest.fixture
def customer(api: ApiClient) -> Customer:
    return Customer(api)


def test_what_is_due_today_is_paid_and_shown(customer: Customer) -> None:
    path = customer.ordered(starts=wall(hours=-1))
    eventually(lambda: customer.api.get(path).json().get("end_reason") == "finished", "the payment")
    [tried] = customer.api.get(f"{path}/occurrences").json()["items"]
    assert (tried["status"], tried["attempt"], tried["amount"]) == ("posted", 0, "10.50")
    payment = customer.api.get(f"/v1/transfers/{tried['payment']}").json()
    assert (payment["status"], payment["description"], payment["amount_minor"]) == ("posted", "rent", 1050)
    assert customer.api.balance_minor(customer.payee) == 1050
    assert customer.api.get(f"{path}/preview").json()["items"] == []


def test_the_same_key_is_the_same_schedule(customer: Customer) -> None:
    key, starts = secrets.token_hex(8), wall(days=3)
    first = customer.orders(key, starts=starts)
    again = customer.orders(key, starts=starts, amount=10.5)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    problem_of(customer.orders(key, starts=starts, amount="11"), 422, "idempotency_key_reused")
    problem_of(customer.api.http.post(PATH, json=customer.body()), 400, "idempotency_key_missing")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"zone": "Europe/Atlantis"}, "/zone"),
        ({"starts": "2027-01-01T09:00:00+01:00"}, "/starts"),
        ({"starts": "next Monday"}, "/starts"),
        ({"starts": "2026-01-01"}, "/starts"),
        ({"expression": "0 9 31 2 *"}, "/expression"),
        ({"times": 3}, "/expression"),
        ({"expression": "@daily", "times": 0}, "/times"),
        ({"expression": "@daily", "ends": "2026-01-01"}, "/ends"),
        ({"retries": 11}, "/retries"),
        ({"missed": "some"}, "/missed"),
        ({"memo": "a\u0000b"}, "/memo"),
        ({"amount": "0"}, "/amount"),
        ({"to_account": "acc_1"}, "/to_account"),
        ({"speed": "fast"}, "/speed"),
    ],
)
def test_bad_input_is_refused_at_its_place(customer: Customer, fields: dict[str, Any], pointer: str) -> None:
    refused = customer.orders(**fields)
    assert refused.status_code == 422, refused.text
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


def test_a_preview_has_the_next_times_with_their_instants(customer: Customer) -> None:
    path = customer.ordered(
        zone="Europe/Berlin", starts="2027-03-27", expression="30 2 * * *", times=3, ends="2027-12-31"
    )
    shown = customer.api.get(f"{path}/preview", count="5").json()
    assert shown == {
        "zone": "Europe/Berlin",
        "items": [
            {"at": "2027-03-27T02:30:00", "due_at": "2027-03-27T01:30:00.000000Z"},
            {"at": "2027-03-28T02:30:00", "due_at": "2027-03-28T01:00:00.000000Z"},
            {"at": "2027-03-29T02:30:00", "due_at": "2027-03-29T00:30:00.000000Z"},
        ],
    }


def test_a_change_is_made_to_what_was_seen(customer: Customer) -> None:
    path = customer.ordered(expression="@monthly")
    seen = customer.api.get(path).headers["ETag"]
    changed = customer.patch(path, seen, amount="12", memo="more rent", times=4, retries=2)
    assert changed.status_code == 200, changed.text
    told = changed.json()
    assert (told["amount_minor"], told["memo"], told["times"], told["retries"]) == (1200, "more rent", 4, 2)
    problem_of(customer.patch(path, seen, amount="13"), 412, "precondition_failed")
    assert customer.patch(path, changed.headers["ETag"], times=None).json().get("times") is None
    problem_of(customer.patch(path, memo="4111 1111 1111 1111"), 422, "card_number_refused")
    assert customer.api.get(path).json()["amount"] == "12.00"


def test_paused_is_not_paid_and_what_it_missed_is_left_out(customer: Customer) -> None:
    path = customer.ordered(expression="* * * * *", starts=wall(minutes=30), times=5)
    assert customer.patch(path, status="paused").json()["status"] == "paused"
    resumed = customer.patch(path, status="active").json()
    assert (resumed["status"], resumed["issued"]) == ("active", 0)
    assert resumed["next_due_at"]


def test_a_cancelled_schedule_stays_to_look_at(customer: Customer) -> None:
    path = customer.ordered(expression="@daily")
    ended = customer.api.http.delete(path)
    assert (ended.status_code, ended.json()["status"], ended.json()["end_reason"]) == (200, "ended", "cancelled")
    assert customer.api.http.delete(path).json() == ended.json() == customer.api.get(path).json()
    problem_of(customer.patch(path, status="active"), 409, "schedule_ended")


def test_lists_come_in_pages_the_latest_first(customer: Customer) -> None:
    paths = [customer.ordered() for _ in range(3)]
    customer.api.http.delete(paths[0])
    first = customer.api.get(PATH, account=customer.payer, limit="2").json()
    assert [item["id"] for item in first["items"]] == [path.rpartition("/")[2] for path in (paths[2], paths[1])]
    second = customer.api.get(PATH, account=customer.payer, limit="2", cursor=first["next_cursor"]).json()
    assert ([item["id"] for item in second["items"]], second["has_more"]) == ([paths[0].rpartition("/")[2]], False)
    ended = customer.api.get(PATH, account=customer.payer, status="ended").json()
    assert ended["items"] == second["items"]
    problem_of(customer.api.get(PATH), 422, "parameter_invalid")


@pytest.mark.parametrize("name", ["sch_0000000000000000000000000a", "nonsense"])
def test_an_unknown_schedule_is_not_found(customer: Customer, name: str) -> None:
    for path in (f"{PATH}/{name}", f"{PATH}/{name}/occurrences", f"{PATH}/{name}/preview"):
        problem_of(customer.api.get(path), 404, "schedule_not_found")
    problem_of(customer.patch(f"{PATH}/{name}", status="paused"), 404, "schedule_not_found")
    problem_of(customer.api.http.delete(f"{PATH}/{name}"), 404, "schedule_not_found")
