"""The tables after every kind of movement has happened, in a database of the package's own: no broker is needed."""

from collections.abc import AsyncIterator, Iterator

import pytest

from ingest_api.reads.database import Database
from runtime import migrate
from runtime.postgres import connect
from sinks.account_sums import AccountSums
from sinks.balances import prepare_session
from sinks.progress import load_progress
from tests.sinks.every_kind import SHARDS
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


@pytest.fixture(scope="package")
def summed_url(postgres: str, ledger_url: str) -> Iterator[str]:
    """The same, with spans of two legs for every account."""
    with fresh_database(postgres, ledger_url) as url:
        with connect(url, "test") as connection:
            sums, progress = AccountSums(connection, span_legs=2, lag_us=0), load_progress(connection, range(SHARDS))
            for _ in range(200):
                progress.update(sums.go_on(progress, is_idle=True))
            assert connection.execute("SELECT FROM account_sums").rowcount > 20
        yield url


@pytest.fixture(params=[False, True], ids=["no spans", "spans"])
async def ledger(request: pytest.FixtureRequest, ledger_url: str, summed_url: str) -> AsyncIterator[Database]:
    database = Database(summed_url if request.param else ledger_url, 2, 8)
    await database.open()
    yield database
    await database.close()
