"""Goal: what our own services disagree about is found, listed and repaired over HTTP, by those who may, and audited.

Method: the app in memory with real Postgres; charges in the tables of the ledger, one of which nobody answered for.
"""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ingest_api.identity.tokens import Scope
from payments.items.details import OrderStatus
from tests.ingest_api.client import problem_of
from tests.ingest_api.owners.world import Caller, World
from tests.ingest_api.reconciliation.conftest import done
from tests.reconciliation.internal.books import charge, remove

PATH = "/v1/reconciliation/internal"


async def test_a_finding_from_the_run_to_the_repair(world: World, fatima: Caller) -> None:
    at = datetime.now(UTC) - timedelta(days=2)
    with psycopg.connect(world.services.settings.database_url, autocommit=True) as books:
        charge(books, 1, at)
        charge(books, 2, at, OrderStatus.EXECUTING, 2_00)
        remove(books, "provider_requests", "request_id", charge(books, 3, at))
    run = done(await fatima("POST", f"{PATH}/runs", {}), 201)
    assert (run["movements"], run["wallets"], run["findings"], run["changes"]["opened"]) == (3, 1, 2, 2)
    assert (run["providers_asked"], run["providers_silent"]) == (0, 0)
    page = done(await fatima("GET", f"{PATH}/findings?limit=1"))
    assert (page["items"][0]["type"], page["has_more"]) == ("ORDER_WITHOUT_ATTEMPT", True)
    [stuck] = done(await fatima("GET", f"{PATH}/findings?limit=1&cursor={page['next_cursor']}"))["items"]
    assert (stuck["type"], stuck["repair"], stuck["difference"]) == ("STUCK_EXECUTING", "inquire", "2.00")
    assert done(await fatima("GET", f"{PATH}/findings?type=STUCK_EXECUTING&severity=high"))["items"] == []
    ids = {"findings": [stuck["id"], page["items"][0]["id"]]}
    told = [done(await fatima("POST", f"{PATH}/repairs", ids | {"is_dry_run": dry})) for dry in (True, False, False)]
    assert [[one["done"] for one in answer["items"]] for answer in told] == [
        ["would_ask", "for_people"],
        ["asked", "for_people"],
        ["under_way", "for_people"],
    ]
    detail = done(await fatima("GET", f"{PATH}/findings/{stuck['id']}"))
    assert [(one["attempt"], one["asked_by"], one["sent_at"]) for one in detail["inquiries"]] == [(2, "fatima", None)]
    assert detail["evidence"]["ledger"] == "nothing"
    assert done(await fatima("GET", f"/v1/reconciliation/breaks/{stuck['id']}"))["type"] == "STUCK_EXECUTING"
    assert done(await fatima("GET", f"/v1/reconciliation/runs/{run['id']}"))["rules"] == "internal"
    audited = world.rows("SELECT action FROM audit_entries WHERE action LIKE 'reconciliation.internal%%' ORDER BY at")
    assert [row["action"].rpartition(".")[2] for row in audited] == ["internal_run", *["internal_repair"] * 4]


async def test_readers_repair_nothing_and_what_is_not_there_is_said(world: World, fatima: Caller) -> None:
    reader = world.caller("rita", Scope.RECONCILIATION_READ)
    assert done(await reader("GET", f"{PATH}/findings"))["items"] == []
    assert (await reader("POST", f"{PATH}/runs", {})).status_code == 403
    assert (await reader("POST", f"{PATH}/repairs", {"findings": ["brk_0"]})).status_code == 403
    missing = await fatima("GET", f"{PATH}/findings/brk_00000000000000000000000000")
    problem_of(missing, 404, "reconciliation_not_found")
    assert (await fatima("POST", f"{PATH}/repairs", {"findings": ["brk_0"]})).json()["code"] == "break_not_found"
    assert (await fatima("POST", f"{PATH}/repairs", {"findings": []})).status_code == 422


async def test_providers_are_asked_by_the_connectors_and_not_waited_for_when_these_are_away(
    world: World, fatima: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question stays for them; what they write down counts in the next run."""
    monkeypatch.setattr("reconciliation.internal.questions.UNATTENDED_S", 0.1)
    at = datetime.now(UTC) - timedelta(days=2)
    with psycopg.connect(world.services.settings.database_url, autocommit=True) as books:
        stuck = charge(books, 1, at, OrderStatus.EXECUTING)
        run = done(await fatima("POST", f"{PATH}/runs", {"ask_max": 50}), 201)
        assert (run["providers_asked"], run["providers_silent"], run["findings"]) == (0, 1, 1)
        questions = books.execute("SELECT request_id, asked_by, answered_at FROM recon_questions").fetchall()
        assert questions == [(stuck, "fatima", None)]
        books.execute("UPDATE recon_questions SET answered_at = now()")
        books.execute(
            "INSERT INTO recon_provider_states VALUES (%s, now(), 'succeeded', true, 'pi_1', '', 1000, 'EUR')", (stuck,)
        )
    done(await fatima("POST", f"{PATH}/runs", {}), 201)
    [found] = done(await fatima("GET", f"{PATH}/findings"))["items"]
    assert (found["type"], found["repair"]) == ("CAPTURED_NOT_POSTED", "replay_result")
    assert (await fatima("POST", f"{PATH}/runs", {"ask_max": 51})).status_code == 422
