"""Identity on a real Postgres, without Kafka."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest_api.identity.service import Identity
from runtime.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, migrated: str) -> Settings:
    return Settings(home=tmp_path, database_url=migrated, shards=1)


@pytest.fixture
async def identity(settings: Settings) -> AsyncIterator[Identity]:
    """As one API process has it."""
    made = Identity.of(settings)
    await made.open()
    yield made
    await made.close()
