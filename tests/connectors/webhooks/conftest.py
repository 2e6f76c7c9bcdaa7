"""A database with every table, a receiver, and the desk between them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.settings import Settings
from tests.connectors.webhooks.desk import Desk
from tests.connectors.webhooks.receiver import Receiver, receiving


@pytest.fixture
def webhook_settings(tmp_path: Path, migrated: str) -> Settings:
    return Settings(home=tmp_path, database_url=migrated, webhook_local_receivers=True)


@pytest.fixture
def desk(webhook_settings: Settings) -> Desk:
    return Desk(webhook_settings)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running
