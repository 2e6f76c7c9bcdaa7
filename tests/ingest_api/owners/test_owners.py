"""Goal: roles decide, the register keeps who had which one when, and no account loses its owner."""

import asyncio
from typing import Any

import psycopg
import pytest

from ingest_api.identity.tokens import Principal
from ingest_api.owners.access import ROLE_KEPT_S, Access
from ingest_api.owners.rights import Action
from ingest_api.problems import Problem
from tests.ingest_api.owners.world import ANNA, BERTA, CARLA, CUSTOMER, Caller, World, raw


async def owners(caller: Caller, account: str, query: str = "") -> list[tuple[str, str]]:
    answer = await caller("GET", f"/v1/accounts/{account}/owners{query}")
    assert answer.status_code == 200, answer.text
    return [(item["user"], item["role"]) for item in answer.json()["items"]]


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_who_opens_an_account_owns_it(world: World) -> None:
    account = await world.account_of(world.anna)
    assert await owners(world.anna, account) == [(ANNA, "owner")]


async def test_an_account_of_a_service_is_nobodys_and_services_alone_reach_it(world: World) -> None:
    account = await world.account_of(world.operator)
    assert await owners(world.operator, account) == []
    assert code(await world.anna("GET", f"/v1/accounts/{account}")) == (404, "account_not_found")


async def test_an_account_is_opened_for_several(world: World) -> None:
    roles = [{"user": ANNA, "role": "owner"}, {"user": BERTA, "role": "co_owner"}, {"user": CARLA, "role": "viewer"}]
    account = await world.account_of(world.operator, owners=roles)
    assert sorted(await owners(world.carla, account)) == [(each["user"], each["role"]) for each in roles]


WRONG_OWNERS: list[tuple[list[dict[str, str]], str]] = [
    ([{"user": ANNA, "role": "co_owner"}], "/owners"),
    ([{"user": BERTA, "role": "owner"}], "/owners"),
    ([{"user": ANNA, "role": "owner"}, {"user": BERTA, "role": "owner"}], "/owners"),
    ([{"user": ANNA, "role": "owner"}, {"user": ANNA, "role": "viewer"}], "/owners"),
    ([{"user": ANNA, "role": "owner"}, {"user": "usr_1", "role": "viewer"}], "/owners/1/user"),
]


@pytest.mark.parametrize(("asked", "pointer"), WRONG_OWNERS, ids=range(len(WRONG_OWNERS)))
async def test_wrong_owners_open_nothing(world: World, asked: list[dict[str, str]], pointer: str) -> None:
    answer = await world.anna("POST", "/v1/accounts", {"currency": "EUR", "owners": asked})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert world.partition.entries == []
    assert world.rows("SELECT 1 FROM account_owners") == []


async def test_a_repeated_opening_keeps_its_first_owners(world: World) -> None:
    body = {"currency": "EUR"}
    first = await world.anna("POST", "/v1/accounts", body, Idempotency_Key="a")
    account = first.json()["id"]
    await world.shares(account, BERTA, "owner", world.anna)
    again = await world.anna("POST", "/v1/accounts", body, Idempotency_Key="a")
    assert again.json()["id"] == account
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await owners(world.anna, account) == [(ANNA, "co_owner"), (BERTA, "owner")]
    other = body | {"owners": [{"user": ANNA, "role": "owner"}, {"user": CARLA, "role": "viewer"}]}
    refused = await world.anna("POST", "/v1/accounts", other, Idempotency_Key="a")
    assert code(refused) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(("role", "may_pay"), [("co_owner", True), ("viewer", False)])
async def test_a_co_owner_pays_and_a_viewer_looks(world: World, role: str, may_pay: bool) -> None:
    account, payee = await world.account_of(world.anna), await world.account_of(world.carla)
    await world.operator("POST", f"/v1/accounts/{account}/deposit", {"amount": "10.00", "currency": "EUR"})
    await world.shares(account, BERTA, role, world.anna)
    path = f"/v1/accounts/{account}"
    assert (await world.berta("GET", f"{path}/balance")).status_code == 200
    body = {"from_account": account, "to_account": payee, "amount": "1.00", "currency": "EUR"}
    paid = await world.berta("POST", "/v1/transfers", body, Prefer="wait=0")
    assert paid.status_code == 202 if may_pay else code(paid) == (403, "role_insufficient")
    share = {"user": CARLA, "role": "viewer"}
    assert code(await world.berta("POST", f"{path}/owners", share)) == (403, "role_insufficient")
    assert code(await world.berta("DELETE", f"{path}/owners/{ANNA}")) == (403, "role_insufficient")
    assert code(await world.berta("PUT", path, {"status": "frozen"})) == (403, "role_insufficient")


async def test_owners_do_not_operate_their_account(world: World) -> None:
    """No money out of nothing, no freezing, no overdraft: that is the operator's."""
    path = f"/v1/accounts/{await world.account_of(world.anna)}"
    assert code(await world.anna("PUT", path, {"overdraft_limit": "100"})) == (403, "role_insufficient")
    deposit = {"amount": "10.00", "currency": "EUR"}
    assert code(await world.anna("POST", f"{path}/deposit", deposit)) == (403, "role_insufficient")
    opening = {"currency": "EUR", "overdraft_limit": "100"}
    assert code(await world.anna("POST", "/v1/accounts", opening)) == (403, "scope_insufficient")


async def test_a_role_that_is_taken_away_is_gone_at_once_here(world: World) -> None:
    account = await world.account_of(world.anna)
    await world.shares(account, BERTA, "viewer", world.anna)
    path = f"/v1/accounts/{account}"
    assert (await world.berta("GET", path)).status_code == 200
    assert (await world.anna("DELETE", f"{path}/owners/{BERTA}")).status_code == 200
    assert code(await world.berta("GET", path)) == (404, "account_not_found")


async def test_a_role_that_another_process_takes_away_is_used_for_a_second_at_most(world: World) -> None:
    account, now = await world.account_of(world.anna), [100.0]
    await world.shares(account, BERTA, "co_owner", world.anna)
    process = Access(world.services.database, lambda: now[0])
    berta = Principal(BERTA, frozenset(CUSTOMER), 2**40)
    asked = raw(account), Action.MOVE_MONEY
    await process.require(berta, *asked)
    await world.anna("DELETE", f"/v1/accounts/{account}/owners/{BERTA}")
    now[0] += ROLE_KEPT_S - 0.01
    await process.require(berta, *asked)
    now[0] += 0.01
    with pytest.raises(Problem):
        await process.require(berta, *asked)


async def test_calls_of_one_moment_share_a_query_and_get_their_own_answer(world: World) -> None:
    accounts = [await world.account_of(world.anna) for _ in range(3)] + [await world.account_of(world.berta)]
    anna = Principal(ANNA, frozenset(CUSTOMER), 2**40)
    asked = [world.services.access.require(anna, raw(account), Action.VIEW) for account in accounts]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(answer, Problem) for answer in answers] == [False, False, False, True]


async def test_the_owner_hands_over_and_cannot_just_leave(world: World) -> None:
    account = await world.account_of(world.anna)
    path = f"/v1/accounts/{account}/owners"
    assert code(await world.anna("DELETE", f"{path}/{ANNA}")) == (409, "primary_owner_needed")
    assert code(await world.anna("POST", path, {"user": ANNA, "role": "viewer"})) == (409, "primary_owner_needed")
    await world.shares(account, BERTA, "owner", world.anna)
    assert await owners(world.anna, account) == [(ANNA, "co_owner"), (BERTA, "owner")]
    assert code(await world.anna("DELETE", f"{path}/{BERTA}")) == (403, "role_insufficient")
    assert (await world.berta("DELETE", f"{path}/{ANNA}")).status_code == 200
    assert await owners(world.berta, account, "?history=true") == [
        (ANNA, "co_owner"),
        (BERTA, "owner"),
        (ANNA, "owner"),
    ]


async def test_a_closed_account_keeps_its_history_and_lets_its_owner_go(world: World) -> None:
    account = await world.account_of(world.anna)
    path = f"/v1/accounts/{account}"
    assert (await world.operator("PUT", path, {"status": "closed"})).status_code == 200
    assert (await world.anna("GET", f"{path}/balance")).status_code == 200
    assert (await world.anna("DELETE", f"{path}/owners/{ANNA}")).json()["items"] == []
    assert await owners(world.operator, account, "?history=true") == [(ANNA, "owner")]


async def test_every_change_says_who_asked_and_what_was_before(world: World) -> None:
    account = await world.account_of(world.anna)
    answer = await world.anna("POST", f"/v1/accounts/{account}/owners", {"user": BERTA, "role": "viewer"})
    await world.operator("DELETE", f"/v1/accounts/{account}/owners/{BERTA}", X_Request_Id="r-7")
    changes = world.rows("SELECT * FROM account_owner_changes ORDER BY change_id")
    assert [change["actor"] for change in changes] == [ANNA, ANNA, "operator"]
    assert changes[1]["request_id"] == answer.headers["x-request-id"]
    assert changes[2]["request_id"] == "r-7"
    assert [change["before"] for change in changes[:2]] == [None, None]
    ended = changes[2]
    assert ended["before"]["until"] is None
    assert ended["after"] == ended["before"] | {"until": ended["after"]["until"]}
    assert ended["after"]["until"] is not None


_NEW_USER = "INSERT INTO account_owners SELECT account_id, gen_random_uuid(), '{}', now() FROM account_owners"
WRONG_STATES = {
    "a second owner": _NEW_USER.format("owner"),
    "one user twice": "INSERT INTO account_owners SELECT account_id, user_id, 'viewer', now() FROM account_owners",
    "another role": _NEW_USER.format("thief"),
    "no owner": "UPDATE account_owners SET until = now()",
    "another past": "UPDATE account_owners SET role = 'viewer'",
    "no past": "DELETE FROM account_owners",
    "no past at all": "TRUNCATE account_owners",
    "another audit": "UPDATE account_owner_changes SET actor = 'nobody'",
    "no audit": "DELETE FROM account_owner_changes",
    "no audit at all": "TRUNCATE account_owner_changes",
}


@pytest.mark.parametrize("statement", WRONG_STATES.values(), ids=WRONG_STATES)
async def test_postgres_itself_refuses_wrong_states(world: World, statement: str) -> None:
    await world.account_of(world.anna)
    by = "SET millrace.actor = 'somebody'; SET millrace.request_id = 'r';"
    with pytest.raises(psycopg.errors.IntegrityError):
        world.rows(f"{by} {statement}")


async def test_no_change_goes_without_a_name(world: World) -> None:
    await world.account_of(world.anna)
    with pytest.raises(psycopg.errors.UndefinedObject, match=r"millrace\.actor"):
        world.rows(_NEW_USER.format("viewer"))


async def test_of_two_who_take_over_at_once_one_is_the_owner(world: World) -> None:
    account = await world.account_of(world.anna)
    path = f"/v1/accounts/{account}/owners"
    takers = [world.operator("POST", path, {"user": user, "role": "owner"}) for user in (BERTA, CARLA)]
    answers = await asyncio.gather(*takers)
    assert [answer.status_code for answer in answers] == [200, 200]
    roles = [role for _, role in await owners(world.operator, account)]
    assert sorted(roles) == ["co_owner", "co_owner", "owner"]


async def test_a_change_of_what_somebody_else_changed_is_refused(world: World) -> None:
    account = await world.account_of(world.anna)
    path = f"/v1/accounts/{account}/owners"
    seen = (await world.anna("GET", path)).headers["etag"]
    first = await world.anna("POST", path, {"user": BERTA, "role": "viewer"}, If_Match=seen)
    assert first.status_code == 200
    late = await world.anna("POST", path, {"user": BERTA, "role": "co_owner"}, If_Match=seen)
    assert code(late) == (412, "precondition_failed")
    again = await world.anna("POST", path, {"user": BERTA, "role": "co_owner"}, If_Match=first.headers["etag"])
    assert again.status_code == 200


async def test_too_many_and_unknown_owners_are_refused(world: World) -> None:
    account = await world.account_of(world.anna)
    path = f"/v1/accounts/{account}/owners"
    assert code(await world.anna("DELETE", f"{path}/{BERTA}")) == (404, "owner_not_found")
    assert code(await world.anna("POST", path, {"user": "anna", "role": "viewer"})) == (422, "field_invalid")
    for number in range(19):
        await world.shares(account, f"usr_{number:026d}", "viewer", world.anna)
    assert code(await world.anna("POST", path, {"user": BERTA, "role": "viewer"})) == (422, "too_many_owners")


async def test_the_accounts_of_a_user_page_by_page(world: World) -> None:
    accounts = [await world.account_of(world.anna) for _ in range(3)]
    await world.account_of(world.berta)
    await world.shares(accounts[0], BERTA, "viewer", world.anna)
    first = (await world.anna("GET", f"/v1/users/{ANNA}/accounts?limit=2")).json()
    rest = (await world.anna("GET", f"/v1/users/{ANNA}/accounts?limit=2&cursor={first['next_cursor']}")).json()
    assert [item["account"] for item in first["items"] + rest["items"]] == accounts[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    (shared, own) = (await world.operator("GET", f"/v1/users/{BERTA}/accounts")).json()["items"]
    assert (shared["account"], shared["role"], own["role"]) == (accounts[0], "viewer", "owner")
    assert code(await world.berta("GET", f"/v1/users/{ANNA}/accounts")) == (404, "user_not_found")


@pytest.mark.parametrize("path", ["/v1/users/{}/accounts", "/v1/users/{}/wallet", "/v1/ledger/{}"])
async def test_what_is_no_user_id_has_nothing_even_for_a_service(world: World, path: str) -> None:
    """It was an internal error: fuzzing the routes has found it."""
    for text in ("0", "operator", ANNA[:-1]):
        assert code(await world.operator("GET", path.format(text))) == (404, "user_not_found")


async def test_a_wallet_is_one_account_per_currency(world: World) -> None:
    euro, yen = [await world.account_of(world.anna, currency, type="wallet") for currency in ("EUR", "JPY")]
    await world.account_of(world.anna, type="savings")
    shown = (await world.anna("GET", f"/v1/users/{ANNA}/wallet")).json()
    held = {each["currency"]: [account["account"] for account in each["accounts"]] for each in shown["currencies"]}
    assert held == {"EUR": [euro], "JPY": [yen]}


async def defaults(world: World, caller: Caller, user: str) -> list[str]:
    held = (await caller("GET", f"/v1/users/{user}/accounts")).json()["items"]
    return [account["account"] for account in held if account["default"]]


async def test_the_first_account_of_a_currency_is_where_money_sent_to_the_user_arrives(world: World) -> None:
    """One record of it: the user's id as an alias."""
    first, dollars = await world.account_of(world.anna), await world.account_of(world.anna, "USD")
    second = await world.account_of(world.anna)
    assert await defaults(world, world.anna, ANNA) == [dollars, first]
    alias = {"user": ANNA, "type": "user", "value": ANNA, "account": second, "verified": True}
    assert (await world.operator("POST", "/v1/aliases", alias)).status_code == 201
    assert await defaults(world, world.anna, ANNA) == [second, dollars]
    payer = await world.account_of(world.berta)
    await world.operator("POST", f"/v1/accounts/{payer}/deposit", {"amount": "5.00", "currency": "EUR"})
    body = {"from_account": payer, "to_account": ANNA, "amount": "1.00", "currency": "EUR"}
    paid = await world.berta("POST", "/v1/transfers", body, Prefer="wait=0")
    assert (paid.status_code, paid.json()["to_account"]) == (202, second)


@pytest.mark.parametrize("role", ["viewer", None])
async def test_a_name_stands_for_no_account_in_which_its_user_has_no_part(world: World, role: str | None) -> None:
    account = await world.account_of(world.anna)
    alias = {"user": BERTA, "type": "email", "value": "berta@example.com", "account": account, "verified": True}
    assert code(await world.operator("POST", "/v1/aliases", alias)) == (404, "owner_not_found")
    await world.shares(account, BERTA, "co_owner", world.anna)
    made = await world.operator("POST", "/v1/aliases", alias)
    assert made.status_code == 201
    path = f"/v1/accounts/{account}/owners"
    ended = world.anna("POST", path, {"user": BERTA, "role": role}) if role else world.anna("DELETE", f"{path}/{BERTA}")
    assert (await ended).status_code == 200
    assert "valid_to" in (await world.operator("GET", made.headers["Location"])).json()
    assert code(await world.operator("POST", "/v1/aliases", alias)) == (404, "owner_not_found")


async def test_a_user_without_postgres_is_told_to_come_again(world: World) -> None:
    account = await world.account_of(world.anna)
    await world.services.database.close()
    body = {"from_account": account, "to_account": account, "amount": "1.00", "currency": "EUR"}
    newcomer = world.caller(CARLA, *CUSTOMER)
    assert code(await newcomer("POST", "/v1/transfers", body)) == (503, "database_unavailable")
    assert code(await world.operator("POST", "/v1/transfers", body)) == (422, "same_account")


async def test_a_tax_report_is_of_what_the_user_owns(world: World) -> None:
    """Alone or with others; what it may only look at is somebody else's to report."""
    own, shared, seen = [await world.account_of(caller) for caller in (world.anna, world.berta, world.carla)]
    await world.shares(shared, ANNA, "co_owner", world.berta)
    await world.shares(seen, ANNA, "viewer", world.carla)
    report = await world.anna("GET", f"/v1/users/{ANNA}/tax-report?year=2026")
    assert report.headers["content-type"].startswith("text/csv")
    named = {row.split(",")[1] for row in report.text.splitlines()[1:]}
    assert named - {""} == {own, shared}
