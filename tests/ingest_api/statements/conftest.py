"""The tables after every kind of movement has happened, in a database of the package's own: no broker is needed."""

from collections.abc import AsyncIterator, Iterator

import pytest

from ingest_api.reads.database import Database
from runtime import migrate
from runtime.postgres import connect
from sinks.balances import prepare_session
from tests.sinks.test_every_kind import Played, apply
from tests.support.environment import fresh_database


@pytest.fixture(scope="package")
def played() -> Played:
    return Played()


@pytest.fixture(scope="package")
def ledger_url(postgres: str, played: Played) -> Iterator[str]:
    """Every record of `played` is applied there."""
    with fresh_database(postgres) as url:
        migrate.up(url, "sinks")
        with connect(url, "test") as connection:
            prepare_session(connection)
            apply(connection, played.ledgers)
        yield url


@pytest.fixture
async def ledger(ledger_url: str) -> AsyncIterator[Database]:
    database = Database(ledger_url, 2, 8)
    await database.open()
    yield database
    await database.close()
