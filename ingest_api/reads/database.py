"""Postgres for calls: bounded pools, every query with a time-out, sessions that read alone unless told otherwise.

A process has one pool that reads and one that writes; each register has a share of one of them. Guarantees: whoever
waits for a connection has one after ACQUIRE_S or is refused; a register that is slow leaves the others the rest of the
pool; no call waits for a second connection of a pool while it holds one, so calls never wait for each other in a ring.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from payments.errors import Unavailable
from runtime.postgres import PATIENCE, reading_connections, writing_connections
from runtime.settings import Settings

ACQUIRE_S: Final = 2
"""A connection is held for milliseconds; whoever has none by then is told to come again."""

_RECONNECT_S = 3
"""Tries of one connection, a second apart and more; then the next call begins anew. The pool's own five minutes double
the pause each time: Postgres would be away from this pool for twice as long as it was away."""

_STATEMENT_MS = 5_000
_BY_INDEX = (
    "-c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
    " -c max_parallel_workers_per_gather=0"
)
"""A call touches few rows and finds each by an index. Left to its estimates, Postgres reads tables whole as soon as it
takes a filter for rarer than it is (tests/ingest_api/reads), or starts further processes to look at 2,000."""

SESSION_OPTIONS = (
    f"-c statement_timeout={_STATEMENT_MS} -c default_transaction_read_only=on -c timezone=UTC {_BY_INDEX}"
)
WRITING = (
    f"-c statement_timeout={_STATEMENT_MS} -c lock_timeout=2000 -c idle_in_transaction_session_timeout=20000"
    f" -c timezone=UTC {_BY_INDEX}"
)
"""Options of sessions that write. A lock is held for milliseconds; whoever waits longer is told to come again."""

NO_NUL: Final = r"^[^\x00]*$"
"""Pattern of a parameter that becomes a text of Postgres, which may have every character but this one."""


class DatabaseUnavailable(Unavailable):
    """Postgres does not answer in time, or is not migrated yet."""


Session = psycopg.AsyncConnection[DictRow]


def _is_cancelled() -> bool:
    """A cancellation that meets a query may come out of it as a fault of Postgres. Taken for one it would be lost, and
    a loop that waits for Postgres to come back would never end.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _unavailable(error: psycopg.Error | PoolTimeout) -> DatabaseUnavailable | asyncio.CancelledError:
    return asyncio.CancelledError() if _is_cancelled() else DatabaseUnavailable(type(error).__name__)


async def end_asking(task: asyncio.Task[None] | None) -> None:
    """End a task that asks Postgres again and again. Told again each second: asyncio.wait_for, with which the pool
    waits, loses a cancellation that comes in the turn of the loop in which a connection is free (Python 3.11).
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)


class Database:
    """Runs queries. Parameters are always bound, never formatted into the text."""

    def __init__(self, url: str, connections: int, waiting_calls: int, options: str = SESSION_OPTIONS) -> None:
        self._connections = connections
        self._holders: set[asyncio.Task[Any] | None] = set()
        self._users = 0
        self.migrating = asyncio.Lock()
        """Held by who makes tables, over a connection beside the pool."""
        self._pool: AsyncConnectionPool[Session] = AsyncConnectionPool(
            url,
            min_size=1,  # made at the start: on a busy machine the first call would wait for it longer than it may
            max_size=connections,
            timeout=ACQUIRE_S,
            reconnect_timeout=_RECONNECT_S,
            max_waiting=waiting_calls,
            open=False,
            kwargs={"autocommit": True, "row_factory": dict_row, "options": options, **PATIENCE},
        )

    @classmethod
    def reading(cls, settings: Settings) -> "Database":
        """The pool of a process that reads."""
        return cls(settings.database_url, reading_connections(settings), settings.api_waiting_calls)

    @classmethod
    def writing(cls, settings: Settings) -> "Database":
        """The pool of a process that writes."""
        return cls(settings.database_url, writing_connections(settings), settings.api_waiting_calls, WRITING)

    async def open(self) -> None:
        """Does not wait for Postgres: commands can be taken without it. Who opens it closes it."""
        self._users += 1
        if self._users == 1:
            await self._pool.open(wait=False)

    async def close(self) -> None:
        """Whoever is the last to close it ends the connections."""
        self._users -= 1
        if self._users == 0:
            await self._pool.close(timeout=ACQUIRE_S)

    @asynccontextmanager
    async def connection(self, within_s: float) -> AsyncIterator[Session]:
        """One connection for the block. Raises PoolTimeout."""
        task = asyncio.current_task()
        if task in self._holders:
            raise RuntimeError("a call that holds a connection asks for a second one of the same pool")
        async with self._pool.connection(within_s) as connection:
            self._holders.add(task)
            try:
                yield connection
            finally:
                self._holders.discard(task)

    async def page(self, query: str, parameters: Sequence[Any] | dict[str, Any]) -> list[dict[str, Any]]:
        """The rows of a page. Planned for its own values each time, in a millisecond: a plan for any limit and any
        place, which the sixth page would be given, reads all that lies before it. Raises DatabaseUnavailable.
        """
        return await self.rows(query, parameters, prepare=False)

    async def rows(
        self, query: str, parameters: Sequence[Any] | dict[str, Any] = (), *, prepare: bool | None = None
    ) -> list[dict[str, Any]]:
        """All rows of a query that may run twice. Raises DatabaseUnavailable."""
        try:
            for _ in range(self._connections + 1):  # a restart of Postgres may have broken every one of the pool
                rows = await self._attempt(query.encode(), parameters, prepare)
                if rows is not None:
                    return rows
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable, PoolTimeout) as error:
            raise _unavailable(error) from error
        raise DatabaseUnavailable("every connection broke")

    async def _attempt(
        self, query: bytes, parameters: Sequence[Any] | dict[str, Any], prepare: bool | None
    ) -> list[dict[str, Any]] | None:
        """The rows, or None where the connection is broken: running it again harms nothing."""
        async with self.connection(ACQUIRE_S) as connection:
            try:
                cursor = await connection.execute(query, parameters, prepare=prepare)
                return await cursor.fetchall()
            except psycopg.OperationalError:
                if connection.closed and not _is_cancelled():
                    return None
                raise

    async def row(self, query: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> dict[str, Any] | None:
        """The first row of a query, or None. Raises DatabaseUnavailable."""
        rows = await self.rows(query, parameters)
        return rows[0] if rows else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """A connection whose statements commit together at the end of the block. Raises DatabaseUnavailable; whether
        they did commit is then not known.
        """
        try:
            async with self.connection(ACQUIRE_S) as connection, connection.transaction():
                yield connection
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable, PoolTimeout) as error:
            raise _unavailable(error) from error

    async def reachable(self) -> bool:
        """True where Postgres answers."""
        try:
            return await self.row("SELECT 1 AS one") is not None
        except DatabaseUnavailable:
            return False


class Share(Database):
    """So many connections of a pool at a time and no more. The pool is open as long as one of its shares is."""

    def __init__(self, pool: Database, connections: int) -> None:
        self._shared = pool
        self.migrating = pool.migrating
        self._places = asyncio.Semaphore(connections)
        self._connections = pool._connections  # any of them may be broken
        self._users = 0

    async def open(self) -> None:
        """Does not wait for Postgres. Who opens it closes it."""
        self._users += 1
        if self._users == 1:
            await self._shared.open()

    async def close(self) -> None:
        """Whoever is the last to close it has no connection any more."""
        self._users -= 1
        if self._users == 0:
            await self._shared.close()

    @asynccontextmanager
    async def connection(self, within_s: float) -> AsyncIterator[Session]:
        """One connection for the block. Raises PoolTimeout, PoolClosed."""
        if self._users <= 0:
            raise PoolClosed("the share of the pool is closed")
        began = time.monotonic()
        try:
            async with asyncio.timeout(within_s):
                await self._places.acquire()
        except TimeoutError:
            raise PoolTimeout("the share of the pool was in use") from None
        try:
            left_s = within_s - (time.monotonic() - began)
            async with self._shared.connection(max(0.01, left_s)) as connection:
                yield connection
        finally:
            self._places.release()
