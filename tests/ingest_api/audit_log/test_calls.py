"""Goal: every call that changes something can be told later: who, which route, what became of it; and nobody's address.

Method: the app of one API process with a real Postgres (tests/ingest_api/owners/world.py).
"""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest

from ingest_api.audit_log.entry import new_entry
from ingest_api.audit_log.log import KEPT_MAX, AuditLog
from ingest_api.identity.tokens import Scope
from ingest_api.reads.database import DatabaseUnavailable
from runtime.settings import Settings
from tests.ingest_api.owners.world import ANNA, World, running_world


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    async with running_world(settings) as running:
        yield running


async def entries(world: World, **query: str) -> list[dict[str, Any]]:
    answer = await world.operator("GET", f"/v1/audit?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_change_is_told_with_who_route_outcome_and_id(world: World) -> None:
    account = await world.account_of(world.anna)
    owners = await world.anna(
        "POST", f"/v1/accounts/{account}/owners", {"user": ANNA, "role": "owner"}, x_request_id="r-owners"
    )
    granted, opened = await entries(world, actor=ANNA)
    assert (opened["action"], opened["object"]) == ("POST /v1/accounts", account)
    assert opened["after"] == {"status": 201}
    assert granted["action"] == "POST /v1/accounts/{account_id}/owners"
    assert (granted["object"], granted["after"]) == (account, {"status": owners.status_code})
    assert granted["request_id"] == "r-owners"
    assert await entries(world, request_id="r-owners") == [granted]
    assert await entries(world, object=account, action="POST /v1/accounts") == [opened]


async def test_a_refusal_is_told_and_so_is_the_path_without_a_version(world: World) -> None:
    account = await world.account_of(world.anna)
    await world.anna("PUT", f"/accounts/{account}", {"status": "frozen"})
    refused = (await entries(world, actor=ANNA))[0]
    assert (refused["action"], refused["after"]) == ("PUT /accounts/{account_id}", {"status": 403})


async def test_looking_and_having_no_token_are_no_entries(world: World) -> None:
    await world.anna("GET", "/v1/aliases?user=" + ANNA)
    nobody = world.caller("nobody")
    nobody._token = "none"
    assert (await nobody("POST", "/v1/accounts", {"currency": "EUR"})).status_code == 401
    assert (await world.anna("POST", "/v1/nowhere", {})).status_code == 404
    assert await entries(world) == []


async def test_nothing_of_body_query_or_path_but_ids_is_kept(world: World) -> None:
    account = await world.account_of(world.anna)
    body = {"user": ANNA, "type": "email", "value": "anna@example.com", "account": account}
    assert (await world.anna("POST", "/v1/aliases", body)).status_code == 201
    await world.anna("DELETE", "/v1/aliases/anna@example.com?because=anna@example.com")
    kept = str(world.rows("SELECT * FROM audit_entries"))
    assert "DELETE /v1/aliases/{alias_id}" in kept or "POST /v1/aliases" in kept
    assert "example.com" not in kept


async def test_calls_of_the_hot_routes_are_counted_by_caller_and_outcome(world: World) -> None:
    account = await world.account_of(world.anna)
    payee = await world.account_of(world.carla)
    await world.operator("POST", f"/v1/accounts/{account}/deposit", {"amount": "10.00", "currency": "EUR"})
    body = {"from_account": account, "to_account": payee, "amount": "1.00", "currency": "EUR"}
    for _ in range(3):
        assert (await world.anna("POST", "/v1/transfers", body, prefer="wait=0")).status_code == 202
    assert (await world.anna("POST", "/v1/transfers", body | {"amount": "99.00"})).status_code == 422
    assert (await world.berta("POST", "/v1/transfers", body)).status_code == 404
    assert await entries(world, action="POST /v1/transfers") == []
    world.services.audit._sum_up()
    await world.services.audit.seal()
    counted = await entries(world, action="POST /v1/transfers")
    assert sorted((entry["actor"], *entry["after"].values()) for entry in counted) == [(ANNA, 1, 422), (ANNA, 3, 202)]


async def test_the_log_is_for_who_may_read_it(world: World) -> None:
    for path in ("/v1/audit", "/v1/audit/verify"):
        assert (await world.anna("GET", path)).status_code == 403
    auditor = world.caller("auditor", Scope.AUDIT_READ)
    await world.account_of(world.anna)
    await world.services.audit.seal()
    verified = (await auditor("GET", "/v1/audit/verify")).json()
    assert (verified["result"]["ok"], verified["result"]["verified"], verified["has_more"]) == (True, 1, False)
    [entry] = (await auditor("GET", "/v1/audit")).json()["items"]
    assert (entry["position"], entry["hash"]) == (1, verified["result"]["head_hash"])


async def test_pages_lead_through_all_entries_once(world: World) -> None:
    for number in range(7):
        await world.services.audit.record("usr_a", "thing.made", None, request_id=f"r-{number}")
    seen, cursor = [], ""
    while True:
        page = (await world.operator("GET", f"/v1/audit?limit=3{cursor}")).json()
        seen += [entry["request_id"] for entry in page["items"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"r-{number}" for number in reversed(range(7))]
    at = (await entries(world, request_id="r-3"))[0]["at"]
    assert [entry["request_id"] for entry in await entries(world, to=at)] == ["r-2", "r-1", "r-0"]
    assert [entry["request_id"] for entry in await entries(world, **{"from": at})] == ["r-6", "r-5", "r-4", "r-3"]


@pytest.mark.parametrize("query", ["actor=", "limit=0", "from=yesterday", "cursor=x", "colour=red"])
async def test_a_query_that_is_none_is_422(world: World, query: str) -> None:
    assert (await world.operator("GET", f"/v1/audit?{query}")).status_code == 422


async def test_while_postgres_is_away_calls_go_on_and_their_entries_wait(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log.seal()

    def away() -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(log._database, "transaction", away)
    await log.note(new_entry("usr_a", "POST /v1/accounts", None, request_id="r-1"))
    monkeypatch.undo()
    assert await log._database.rows("SELECT * FROM audit_entries") == []
    await log.seal()
    [row] = await log._database.rows("SELECT request_id FROM audit_entries JOIN audit_seals USING (entry_id)")
    assert row == {"request_id": "r-1"}


def test_what_waits_is_bounded_and_what_falls_out_is_in_the_process_log(
    log: AuditLog, caplog: pytest.LogCaptureFixture
) -> None:
    log._keep(new_entry("usr_a", "x", None, request_id=f"r-{number}") for number in range(KEPT_MAX + 1))
    assert len(log._kept) == KEPT_MAX
    assert "r-0" in caplog.text
