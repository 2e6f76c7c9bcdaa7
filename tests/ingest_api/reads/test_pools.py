"""Goal: calls share few connections to Postgres, and a full pool answers soon and hinders nobody else."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from ingest_api.audit_log.log import AuditLog
from ingest_api.reads.database import ACQUIRE_S, WRITING, Database, DatabaseUnavailable, Share, end_asking
from runtime import migrate
from runtime.postgres import connections_needed, connections_of_api_process, reading_connections, writing_connections
from runtime.settings import Settings
from tests.ingest_api.owners.world import World, running_world
from tests.support.environment import fresh_database

ENDPOINTS = "/v1/webhook-endpoints"
URL = "https://receiver.example/hooks"
LOCK_S = 2
"""lock_timeout of the sessions that write."""

_SLACK_S = 6
"""For a machine with other work."""


@pytest.fixture
def settings(tmp_path: Path, migrated: str) -> Settings:
    return Settings(home=tmp_path, database_url=migrated, shards=1, api_database_writing_connections=4)


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    async with running_world(settings) as running:
        yield running


@asynccontextmanager
async def locked(settings: Settings, *tables: str) -> AsyncIterator[None]:
    """Whoever asks for these tables waits."""
    async with await psycopg.AsyncConnection.connect(settings.database_url) as connection:
        for table in tables:
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield
        await connection.rollback()


async def endpoint(world: World) -> httpx.Response:
    return await world.anna("POST", ENDPOINTS, {"url": URL})


def sessions(settings: Settings) -> int:
    with psycopg.connect(settings.database_url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert found is not None
    count: int = found[0]
    return count


async def test_a_register_that_is_stuck_is_refused_in_time_and_leaves_the_others_their_connections(
    world: World, settings: Settings
) -> None:
    await endpoint(world)
    async with locked(settings, "webhook_endpoints"):
        began = time.monotonic()
        stuck = [asyncio.create_task(endpoint(world)) for _ in range(40)]
        await asyncio.sleep(0.3)
        others = await asyncio.gather(world.account_of(world.anna), world.account_of(world.berta))
        took_others_s = time.monotonic() - began
        answers = await asyncio.gather(*stuck)
        took_s = time.monotonic() - began
    assert len(set(others)) == 2
    assert took_others_s < ACQUIRE_S
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert {answer.json()["code"] for answer in answers} == {"database_unavailable"}
    assert took_s < ACQUIRE_S + LOCK_S + _SLACK_S
    assert (await endpoint(world)).status_code == 201


async def test_a_full_pool_is_refused_in_time_and_the_audit_log_has_its_own(world: World, settings: Settings) -> None:
    """Three registers of two connections each want more than the four of the pool."""
    await endpoint(world)
    schedules = f"/v1/scheduled-transfers?account={await world.account_of(world.anna)}"
    calls = (("POST", ENDPOINTS, {"url": URL}), ("GET", schedules, None), ("GET", "/v1/notification-devices", None))
    async with locked(settings, "webhook_endpoints", "schedules", "personal_values"):
        began = time.monotonic()
        stuck = [asyncio.create_task(world.anna(*call)) for call in calls for _ in range(10)]
        await asyncio.sleep(0.3)
        await world.services.audit.record("us", "noticed", None, request_id="r")
        took_audit_s = time.monotonic() - began
        answers = await asyncio.gather(*stuck)
        took_s = time.monotonic() - began
        assert sessions(settings) <= 1 + connections_of_api_process(settings)
    assert took_audit_s < ACQUIRE_S
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) >= 20, [answer.text for answer in answers]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert took_s < ACQUIRE_S + LOCK_S + _SLACK_S


async def test_many_registers_at_once_stay_within_the_two_pools(world: World, settings: Settings) -> None:
    async def opened(caller: Any) -> str:
        while (answer := await caller("POST", "/v1/accounts", {"currency": "EUR"})).status_code == 503:
            await asyncio.sleep(int(answer.headers["Retry-After"]))  # on a slow machine 24 wait too long for 4
        account: str = answer.json()["id"]
        return account

    async def busy(caller: Any) -> None:
        account = await opened(caller)
        for path in (ENDPOINTS, f"/v1/accounts/{account}/owners", "/v1/auth/sessions", f"/v1/accounts/{account}"):
            await caller("GET", path)

    await asyncio.gather(*(busy(caller) for caller in (world.anna, world.berta, world.carla) * 8))
    assert sessions(settings) <= reading_connections(settings) + writing_connections(settings)


async def test_a_second_connection_of_the_same_pool_is_a_bug_at_once(migrated: str) -> None:
    """With one connection left, both calls of two that each hold one would wait for the other."""
    pool = Database(migrated, 2, 10, WRITING)
    one, other = Share(pool, 2), Share(pool, 2)
    await one.open()
    await other.open()
    async with one.transaction():
        with pytest.raises(RuntimeError, match="second one of the same pool"):
            await other.rows("SELECT 1")
        assert await asyncio.create_task(other.rows("SELECT 1 AS one")) == [{"one": 1}]
    assert await other.rows("SELECT 1 AS one") == [{"one": 1}]
    await other.close()
    await one.close()


async def test_a_first_record_inside_a_transaction_needs_no_second_connection(postgres: str, tmp_path: Path) -> None:
    """The tables of the audit log are made when it is first used, which may be by who holds the last connection."""
    with fresh_database(postgres) as url:
        migrate.up(url, "sinks")
        settings = Settings(home=tmp_path, database_url=url, shards=1)
        pool = Database(url, 1, 10, WRITING)
        register, log = Share(pool, 1), AuditLog.of(settings, pool)
        await register.open()
        async with register.transaction() as connection:
            await log.record("us", "changed", None, request_id="r", connection=connection)
        assert await register.row("SELECT action FROM audit_entries") == {"action": "changed"}
        await register.close()


async def test_a_pool_is_open_as_long_as_one_of_its_shares(migrated: str) -> None:
    """Whichever is closed first, and a share of a share as well."""
    pool = Database(migrated, 2, 10, WRITING)
    registers = Share(pool, 2)
    first, second = Share(registers, 1), Share(registers, 1)
    with pytest.raises(DatabaseUnavailable):
        await first.rows("SELECT 1")
    for share in (first, second):
        await share.open()
    await first.close()
    with pytest.raises(DatabaseUnavailable):
        await first.rows("SELECT 1")
    assert await second.rows("SELECT 1 AS one") == [{"one": 1}]
    await second.close()
    with pytest.raises(DatabaseUnavailable):
        await second.rows("SELECT 1")


async def test_a_place_is_given_back_however_a_call_ends(migrated: str) -> None:
    pool = Database(migrated, 1, 10, WRITING)
    share = Share(pool, 1)
    await share.open()

    async def holds() -> None:
        async with share.transaction() as connection:
            await connection.execute("SELECT pg_sleep(30)")

    holding = asyncio.create_task(holds())
    await asyncio.sleep(0.5)
    with pytest.raises(DatabaseUnavailable):
        await share.rows("SELECT 1")
    waiting = asyncio.create_task(share.rows("SELECT 1"))
    await asyncio.sleep(0.1)
    for task in (waiting, holding):
        task.cancel()
    await asyncio.gather(waiting, holding, return_exceptions=True)
    assert await share.rows("SELECT 1 AS one") == [{"one": 1}]
    await share.close()


def test_postgres_allows_for_every_process() -> None:
    one, three = Settings(), Settings(api_processes=3)
    assert connections_of_api_process(one) == (8 + 2) + (10 + 2) + (2 + 2 + 3 + 2 + 1 + 1)
    assert connections_needed(one) == 100
    assert connections_needed(three) == 60 + 3 * connections_of_api_process(three) == 159
    assert connections_needed(Settings(api_database_connections=500)) > 560


@pytest.mark.parametrize("ask", ["rows", "transaction"])
async def test_a_cancellation_that_comes_back_as_a_fault_of_postgres_stays_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    """psycopg may say "query cancellation interrupted": a loop took it for an outage, and close() never ended."""
    database, asking = Database.writing(settings), asyncio.Event()
    await database.open()
    assert await database.reachable()

    async def execute(*_: Any, **__: Any) -> None:
        asking.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise psycopg.OperationalError("query cancellation interrupted") from None

    async def call() -> None:
        if ask == "rows":
            await database.rows("SELECT 1")
        async with database.transaction() as connection:
            await connection.execute("SELECT 1")

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", execute)
    calling = asyncio.create_task(call())
    await asyncio.wait_for(asking.wait(), 20)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(calling, 20)
    monkeypatch.undo()
    await database.close()


async def test_a_task_ends_although_its_first_cancellation_is_lost() -> None:
    """asyncio.wait_for of Python 3.11 loses one where its answer comes at the same moment: close() waited for ever."""
    lost = 0

    async def ask_again_and_again() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    asking = asyncio.create_task(ask_again_and_again())
    await asyncio.sleep(0)
    await asyncio.wait_for(end_asking(asking), 20)
    assert (asking.cancelled(), lost) == (True, 2)
