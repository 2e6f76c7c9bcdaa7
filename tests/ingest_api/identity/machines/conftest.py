"""The app of one API process, and callers of it that are machines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.settings import Settings
from tests.ingest_api.owners.world import World, running_world


@pytest.fixture
def settings(tmp_path: Path, migrated: str) -> Settings:
    return Settings(home=tmp_path, database_url=migrated, shards=1)


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    async with running_world(settings) as running:
        yield running
