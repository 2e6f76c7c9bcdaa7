"""Goal: a wallet shows what there is, whatever became of an account that was asked for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest_api.aliases.parties import USER
from ingest_api.owners.register import By
from ingest_api.owners.rights import Role
from payments.identifiers import derive_account_id
from runtime.settings import Settings
from tests.ingest_api.owners.world import ANNA, World, raw, running_world


@pytest.fixture
async def world(tmp_path: Path, migrated: str) -> AsyncIterator[World]:
    async with running_world(Settings(home=tmp_path, database_url=migrated, shards=1)) as running:
        yield running


@pytest.mark.parametrize("query", ["", "?at=2026-01-01T00:00:00Z"])
async def test_an_account_that_was_never_opened_hides_no_other(world: World, query: str) -> None:
    """Its names are entered first: an opening that was refused leaves them behind."""
    user, never = raw(ANNA, USER), derive_account_id(ANNA, "never")
    euros = await world.account_of(world.anna)
    dollars = await world.services.aliases.default_account(user, never, "USD")
    assert await world.services.owners.establish(never, {user: Role.OWNER}, By(ANNA, "r"), dollars)
    answer = await world.anna("GET", f"/v1/wallet/balance{query}")
    assert answer.status_code == 200, answer.text
    assert [balance["account"] for balance in answer.json()["balances"]] == [euros]


async def test_a_time_to_come_is_refused_once_it_is_known_who_asks(world: World) -> None:
    path = "/v1/wallet/balance?at=2999-01-01T00:00:00Z"
    assert (await world.anna("GET", path)).json()["code"] == "parameter_invalid"
    assert (await world.nobody("GET", path)).json()["code"] == "token_missing"
