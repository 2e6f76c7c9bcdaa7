"""One decided log per session, and a copy of its tables for each test that changes them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.settings import Settings
from tests.audit.pipeline import SHARDS, Pipeline, apply_ledger, payments_of_every_kind
from tests.support.environment import fresh_database


@pytest.fixture(scope="session")
def pipeline(broker: str) -> Pipeline:
    """A log with payments of every kind, all of them final. Tests may not write to its topics."""
    pipeline = Pipeline(broker)
    payments_of_every_kind(pipeline, seed=4)
    return pipeline


@pytest.fixture(scope="session")
def applied_tables(pipeline: Pipeline, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database to which the sink has applied the log. Tests may not write to it."""
    with fresh_database(postgres) as url:
        apply_ledger(pipeline.bootstrap, pipeline.topics.ledger, url, tmp_path_factory.mktemp("sink"))
        yield url


@pytest.fixture
def tables(applied_tables: str, postgres: str) -> Iterator[str]:
    """A copy of the applied tables that the test may change."""
    with fresh_database(postgres, applied_tables) as url:
        yield url


@pytest.fixture
def settings(pipeline: Pipeline, tmp_path: Path) -> Settings:
    """Settings for this log; the database is set by the test."""
    return Settings(home=tmp_path, kafka_bootstrap=pipeline.bootstrap, shards=SHARDS)
