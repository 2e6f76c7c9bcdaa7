"""A topic with a made-up ledger, and a sink that applies it."""

from collections.abc import Callable, Iterator

import pytest

from runtime.settings import Settings
from tests.sinks.ledger_topic import LedgerTopic
from tests.support.environment import fresh_database

SHARDS = 3


@pytest.fixture
def ledger_topic(broker: str, topic_name: Callable[[str], str]) -> LedgerTopic:
    """A topic of this test's own in the place of ledger.entries."""
    return LedgerTopic(broker, topic_name("ledger"), SHARDS)


@pytest.fixture
def sink_settings(broker: str, migrated: str) -> Settings:
    return Settings(kafka_bootstrap=broker, database_url=migrated, shards=SHARDS)


@pytest.fixture
def other_database(postgres: str) -> Iterator[str]:
    """A second empty database: what a rebuild is compared in."""
    with fresh_database(postgres) as url:
        yield url
