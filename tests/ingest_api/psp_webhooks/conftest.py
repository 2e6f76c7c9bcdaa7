"""The app in memory and a database of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.settings import Settings
from tests.ingest_api.owners.world import World, running_world

BEFORE, SECRET = "whsec_before", "whsec_now"
"""During a rotation both sign."""


@pytest.fixture
def settings(tmp_path: Path, migrated: str) -> Settings:
    secrets = tmp_path / "stripe.secrets"
    secrets.write_text(f"{BEFORE}\n{SECRET}\n")
    return Settings(home=tmp_path, database_url=migrated, shards=1, stripe_webhook_secret_file=secrets)


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    async with running_world(settings) as running:
        yield running
