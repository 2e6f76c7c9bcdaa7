"""Goal: the routes of the register answer as every other route does, and only to whom they may."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from ingest_api.identity.tokens import Scope
from tests.ingest_api.aliases.test_transfers_by_alias import Person
from tests.ingest_api.client import ApiClient, problem_of
from tests.support.waiting import eventually


@pytest.fixture
def person(api: ApiClient) -> Person:
    return Person(api)


def test_an_alias_is_made_shown_and_ended(api: ApiClient, person: Person) -> None:
    account = api.open_account("JPY")
    made = person.register(account)
    assert made.status_code == 201, made.text
    alias = made.json()
    assert alias == {
        "id": alias["id"],
        "user": person.id,
        "type": "email",
        "value": person.address,
        "account": account,
        "currency": "JPY",
        "verified": True,
        "valid_from": alias["valid_from"],
    }
    path = made.headers["Location"]
    assert path == f"/v1/aliases/{alias['id']}"
    assert api.get(path).json() == alias
    ended = api.http.delete(path)
    assert ended.status_code == 200
    assert ended.json() == {name: alias[name] for name in alias if name != "value"} | {
        "verified": False,
        "valid_to": ended.json()["valid_to"],
    }
    assert api.http.delete(path).json() == ended.json() == api.get(path).json()


def test_an_account_that_was_just_opened_is_waited_for(api: ApiClient, person: Person) -> None:
    opened = api.post("/v1/accounts", {"currency": "EUR"}, prefer="wait=20")
    body = {"user": person.id, "type": "email", "value": person.address, "account": opened.json()["id"]}
    token = opened.headers["Consistency-Token"]
    assert api.post("/v1/aliases", body, Consistency_Token=token).status_code == 201


def test_a_repeated_registration_makes_one_alias(api: ApiClient, person: Person) -> None:
    """With the same key it answers what was made then, whatever has become of it; with another body it is refused."""
    first, second, key = api.open_account(), api.open_account(), secrets.token_hex(8)
    made = person.register(first, key=key)
    again = person.register(first, key=key)
    assert (made.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == made.json()
    problem_of(person.register(second, key=key), 422, "idempotency_key_reused")
    moved = person.register(second)
    late = person.register(first, key=key)
    assert (late.status_code, late.json()["valid_to"]) == (200, moved.json()["valid_from"])
    assert "value" not in late.json()


def test_the_list_shows_an_account_or_a_user_page_by_page(api: ApiClient, person: Person) -> None:
    account = api.open_account()
    ids = [person.register(account, value=f"{number}.{person.address}").json()["id"] for number in range(3)]
    pages, query = [], {"account": account, "limit": "2"}
    while True:
        page = api.http.get("/v1/aliases", params=query).json()
        pages.append([item["id"] for item in page["items"]])
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert pages == [ids[:0:-1], ids[:1]]
    assert len(api.get("/v1/aliases", user=person.id, account=account).json()["items"]) == 3
    assert api.get("/v1/aliases", user=Person(api).id).json() == {"items": [], "has_more": False, "next_cursor": None}


def test_a_name_has_one_owner(api: ApiClient, person: Person) -> None:
    account, thief = api.open_account(), Person(api)
    thief.address = person.address.upper()
    alias = person.has(account)
    problem_of(thief.register(account), 409, "alias_taken")
    assert thief.register(account, verified=False).json()["verified"] is False
    api.http.delete(f"/v1/aliases/{alias}")
    assert thief.register(account).json()["verified"] is True


WRONG: list[tuple[dict[str, Any], int, str, str]] = [
    ({"value": "no address"}, 422, "field_invalid", "/value"),
    ({"type": "phone"}, 422, "field_invalid", "/value"),
    ({"type": "fax"}, 422, "field_invalid", "/type"),
    ({"user": "usr_x"}, 422, "field_invalid", "/user"),
    ({"account": "acc_x"}, 422, "field_invalid", "/account"),
    ({"verified": "yes"}, 422, "field_invalid", "/verified"),
    ({"note": "x"}, 422, "field_unknown", "/note"),
]


@pytest.mark.parametrize(("changes", "status", "code", "pointer"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_field_is_named(
    api: ApiClient, person: Person, changes: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    told = problem_of(person.register(api.open_account(), **changes), status, code)
    assert told["errors"][0]["pointer"] == pointer
    assert "no address" not in str(told)


def test_what_is_not_there_is_said(api: ApiClient, person: Person) -> None:
    problem_of(person.send("acc_01jd5v2q7xf8k8v6n3m4p5r6st"), 404, "account_not_found")
    for path in ("/v1/aliases/als_01jd5v2q7xf8k8v6n3m4p5r6st", "/v1/aliases/x"):
        problem_of(api.get(path), 404, "alias_not_found")
        problem_of(api.http.delete(path), 404, "alias_not_found")
    problem_of(api.get("/v1/aliases"), 422, "parameter_invalid")
    problem_of(api.get("/v1/aliases", user="anna"), 422, "field_invalid")


def test_scopes(api: ApiClient, person: Person, caller_with: Callable[..., ApiClient]) -> None:
    account = api.open_account()
    body = {"user": person.id, "type": "email", "value": person.address, "account": account}
    eventually(lambda: api.get(f"/v1/accounts/{account}").status_code == 200)
    writer = caller_with(Scope.ACCOUNTS_ANY, Scope.ALIASES_WRITE)
    reader = caller_with(Scope.ACCOUNTS_ANY, Scope.ALIASES_READ)
    problem_of(reader.post("/v1/aliases", body), 403, "scope_insufficient")
    problem_of(writer.post("/v1/aliases", body | {"verified": True}), 403, "scope_insufficient")
    made = writer.post("/v1/aliases", body)
    assert (made.status_code, made.json()["verified"]) == (201, False)
    path = made.headers["Location"]
    problem_of(writer.get(path), 403, "scope_insufficient")
    problem_of(reader.http.delete(path), 403, "scope_insufficient")
    assert reader.get(path).status_code == 200
    verifier = caller_with(Scope.ACCOUNTS_ANY, Scope.ALIASES_WRITE, Scope.ALIASES_VERIFY)
    assert verifier.post("/v1/aliases", body | {"verified": True}).json()["verified"] is True
