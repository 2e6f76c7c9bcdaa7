"""A deciding stage and a sink that run, without any scheduler: the tests run their own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ingest_api.schedules.rows import MIGRATIONS
from ingest_api.schedules.service import PASS_S
from millrace.environment import LocalEnvironment
from millrace.environment.layout import Home
from millrace.topics import ensure_topics
from runtime import migrate
from tests.pipeline.slots import Slot, ended_afterwards
from tests.schedules.orders import LIMIT, Orders
from tests.support.environment import end_at_once, throw_away_settings

TEND_S = 0.5


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEnvironment]:
    """Of its own: the deciding stage decides every command in its topics, and the audit reads all of them."""
    home = tmp_path_factory.mktemp("stage")
    settings = throw_away_settings(home).model_copy(update={"scheduler_payments_per_s": int(LIMIT / PASS_S)})
    with LocalEnvironment(settings, pipeline=False) as environment:
        ensure_topics(environment.settings)
        for package in ("sinks", MIGRATIONS):
            migrate.up(environment.database_url, package)
        with tended(Slot(environment, "worker"), Slot(environment, "sink")):
            yield environment
        end_at_once(environment)
    Home(home).wipe()


@contextmanager
def tended(*slots: Slot) -> Iterator[None]:
    """Started again where they end: a worker does on any doubt, such as a machine that is too busy."""
    done = threading.Event()

    def tend() -> None:
        while not done.wait(TEND_S):
            for slot in slots:
                slot.tend()

    tending = threading.Thread(target=tend)
    with ended_afterwards(*slots):
        tending.start()
        try:
            yield
        finally:
            done.set()
            tending.join()


@pytest.fixture
def orders(stage: LocalEnvironment) -> Iterator[Orders]:
    """Schedules of this test's own; those of the tests before are gone."""
    with Orders.of(stage) as made:
        yield made
