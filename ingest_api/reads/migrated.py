"""Tables that the API keeps itself: made on the first use of each process, whoever comes first.

Guarantees: no query of the package runs before its migrations, and none that seals or looks up persons before the keys
were compared with those of the database.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.rows import DictRow

from ingest_api.reads.database import Database, DatabaseUnavailable, Share
from runtime import migrate
from runtime.personal_data.store import PersonalData


class MigratedDatabase(Share):
    """A share of the sessions that write. Every method raises DatabaseUnavailable, MigrationRefused, and with
    `personal` KeyringFault.
    """

    def __init__(
        self, pool: Database, url: str, package: str, connections: int, personal: PersonalData | None = None
    ) -> None:
        super().__init__(pool, connections)
        self._url = url
        self._package = package
        self._personal = personal
        self._has_tables = False
        self._is_ready = False

    async def rows(
        self, query: str, parameters: Sequence[Any] | dict[str, Any] = (), *, prepare: bool | None = None
    ) -> list[dict[str, Any]]:
        """All rows of a query that may run twice."""
        await self.get_ready()
        return await super().rows(query, parameters, prepare=prepare)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
        """A connection whose statements commit together at the end of the block."""
        await self.get_ready()
        async with super().transaction() as connection:
            yield connection

    async def get_ready(self) -> None:
        """The tables are there, and the keys are those that their rows were made with."""
        if self._is_ready:
            return
        await super().rows("SELECT 1")  # a Postgres that is away is noticed in 2 s, not in the 30 s of a migration
        await self.migrate()
        if self._personal is not None:
            async with super().transaction() as connection:
                await self._personal.require_same_keys(connection)
        self._is_ready = True

    async def migrate(self) -> None:
        """The tables are there: all that who holds a connection may ask for."""
        async with self.migrating:
            if self._has_tables:
                return
            try:
                await asyncio.to_thread(migrate.up, self._url, self._package)
            except (psycopg.OperationalError, TimeoutError) as error:
                raise DatabaseUnavailable(type(error).__name__) from error
            self._has_tables = True
