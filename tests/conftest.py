"""Fixtures that every test may use: a real broker, a real Postgres, a database and topic names of one's own."""

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as properties
from xdist.remote import Producer

from millrace.environment import LocalEnvironment
from runtime import migrate
from tests.support.emptied import EmptiedDatabases
from tests.support.environment import fresh_database, provider_of, running_environment
from tests.support.report_line import report_line
from tests.support.side_by_side import TAKE_MINUTES, SharedSystems

ROOT = Path(__file__).parents[1]

properties.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
properties.load_profile("untimed")
"""Properties are judged by their outcome, never by the clock of a shared machine."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedSystems:
    """How `-n` shares out the tests."""
    return SharedSystems(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order of the files, but for what takes minutes."""
    items.sort(key=lambda item: not item.nodeid.startswith(TAKE_MINUTES))


@pytest.fixture(scope="session", autouse=True)
def no_books_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """pytest's folders are private, so root's Postgres keeps its books in a system folder that each home links to."""
    yield
    for link in tmp_path_factory.getbasetemp().rglob("postgres"):
        if link.is_symlink():
            shutil.rmtree(link.resolve(), ignore_errors=True)


@pytest.fixture(scope="session")
def local_environment(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[LocalEnvironment]:
    """One broker and Postgres for the session, started by the first test that needs either."""
    with running_environment(tmp_path_factory.mktemp("environment")) as environment:
        report_line(pytestconfig, provider_of(environment))
        yield environment


@pytest.fixture(scope="module")
def three_brokers(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[LocalEnvironment]:
    """A replicated cluster of the module's own (RF 3, min.isr 2): tests may kill its brokers. An idle broker costs a
    tenth of a core, so that none outlives its tests.
    """
    with running_environment(tmp_path_factory.mktemp("three_brokers"), brokers=3) as environment:
        report_line(pytestconfig, provider_of(environment))
        yield environment


@pytest.fixture(scope="session")
def broker(local_environment: LocalEnvironment) -> str:
    """Bootstrap address of a real Kafka broker."""
    return local_environment.kafka_bootstrap


@pytest.fixture(scope="session")
def postgres(local_environment: LocalEnvironment) -> str:
    """URL of a real Postgres server; its role may create databases."""
    return local_environment.database_url


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """URL of an empty database of this test's own."""
    with fresh_database(postgres) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_once(postgres: str) -> Iterator[str]:
    """A database with the tables of every package, to be copied."""
    with fresh_database(postgres) as url:
        for folder in sorted(ROOT.glob("[a-z]*/**/migrations")):
            migrate.up(url, ".".join(folder.parent.relative_to(ROOT).parts))
        yield url


@pytest.fixture(scope="session")
def emptied(postgres: str, migrated_once: str) -> Iterator[EmptiedDatabases]:
    """Where a test's database comes from, and goes back to."""
    databases = EmptiedDatabases(postgres, migrated_once)
    yield databases
    databases.close()


@pytest.fixture
def migrated(emptied: EmptiedDatabases) -> Iterator[str]:
    """URL of a database with every table that is this test's own while it runs."""
    with emptied.lent() as url:
        yield url


@pytest.fixture
def topic_name(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Makes topic names that no other test uses: `topic_name("commands")`."""
    test = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name)[:80]
    suffix = secrets.token_hex(4)
    return lambda purpose: f"test.{test}.{suffix}.{purpose}"
