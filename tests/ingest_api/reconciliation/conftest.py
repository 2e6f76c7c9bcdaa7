"""One API process in memory with real Postgres, and two people of finance."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest_api.identity.tokens import Scope
from runtime.settings import Settings
from tests.ingest_api.owners.world import Caller, World, running_world

FINANCE = (Scope.RECONCILIATION_READ, Scope.RECONCILIATION_WRITE, Scope.RECONCILIATION_APPROVE)


@pytest.fixture
def settings(tmp_path: Path, migrated: str) -> Settings:
    return Settings(home=tmp_path, database_url=migrated, shards=1)


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    async with running_world(settings) as made:
        yield made


@pytest.fixture
def fatima(world: World) -> Caller:
    return world.caller("fatima", *FINANCE)


@pytest.fixture
def bert(world: World) -> Caller:
    return world.caller("bert", *FINANCE)


def done(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()
