"""A market in memory for each test, on a database of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.postgres import connect
from runtime.settings import Settings
from sinks.balances import prepare_session
from tests.ingest_api.commerce.market import Market


@pytest.fixture
async def market(migrated: str, tmp_path: Path) -> AsyncIterator[Market]:
    with connect(migrated, "test") as tables:
        prepare_session(tables)
        async with Market(Settings(home=tmp_path, database_url=migrated), tables) as market:
            yield market
