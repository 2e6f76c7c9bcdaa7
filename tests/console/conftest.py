"""One API process in memory with its console, real Postgres, and people of finance who sign in."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from ingest_api.identity.roles import UserRole
from millrace.console.composing import console_of
from reconciliation.store.importing import Brought, Imported, import_file
from runtime.settings import Settings
from tests.console.browser import Browser, Page
from tests.ingest_api.identity.people import PASSWORD, Town
from tests.ingest_api.owners.world import World, running_world
from tests.reconciliation.ledger import charge, report
from tests.reconciliation.runs.test_runs import MONDAY, TUESDAY, run_on

FATIMA, BERT, CARL = (bytes([number]) * 16 for number in (0x61, 0x62, 0x63))
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
async def world(tmp_path: Path, migrated: str) -> AsyncIterator[World]:
    settings = Settings(home=tmp_path, database_url=migrated, shards=1)
    async with running_world(settings, console_of) as made:
        yield made


@pytest.fixture
def books(world: World) -> Iterator[Connection]:
    with psycopg.connect(world.services.settings.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def bring(books: Connection, tmp_path: Path) -> Callable[[str, str], Imported]:
    def run(name: str, content: str) -> Imported:
        path = tmp_path / name
        path.write_text(content)
        return import_file(books, path, Brought("stripe", "fatima"))

    return run


@pytest.fixture
def broken(books: Connection, bring: Callable[[str, str], Imported]) -> str:
    """The books have 1,010.00, the provider says 1,009.00 and 25.50 that ties. The run's result."""
    charge(books, 1, 1_010_00, MONDAY, order=HOSTILE)
    charge(books, 2, 25_50, MONDAY)
    rows = ((HOSTILE, "1009.00", MONDAY, "charge"), ("order-2", "25.50", MONDAY, "charge"))
    bring("stripe.csv", report(*rows))
    found, _ = run_on(books, TUESDAY)
    return found.result_hash.hex()


class Office:
    """Who works here, each with a browser of their own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._open: list[Browser] = []

    def browser(self) -> Browser:
        self._open.append(Browser(self.world.app))
        return self._open[-1]

    async def employs(self, user: bytes, name: str, role: UserRole = UserRole.FINANCE) -> list[str]:
        """Somebody with a second factor; codes that each are good for once."""
        http = self.browser().http
        town = Town(self.world, http)
        await town.settles(user, name, role)
        _, codes = await (await town.logs_in(name)).uses_an_app()
        return codes

    async def at_work(self, user: bytes, name: str) -> tuple[Browser, Page]:
        """Signed in, with both factors."""
        codes = await self.employs(user, name)
        browser = self.browser()
        return browser, await browser.signs_in(name, PASSWORD, codes.pop())

    async def close(self) -> None:
        for browser in self._open:
            await browser.http.aclose()


@pytest.fixture
async def office(world: World) -> AsyncIterator[Office]:
    made = Office(world)
    yield made
    await made.close()
