"""Tables looked at again and again: one connection for as long as Postgres keeps it, another one after trouble."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import psycopg
from psycopg.rows import DictRow, dict_row

from runtime.postgres import PATIENCE, RETRY_PAUSE_S, SESSION_OPTIONS, Attempts

log = logging.getLogger("millrace.connectors")

Connection = psycopg.AsyncConnection[DictRow]

RECONNECTS_MAX: Final = 5
"""In a row. Each one waits up to half a minute for Postgres."""

AGAIN_S: Final = 5.0
"""After trouble, and until the tables are made."""

Troubles = tuple[type[Exception], ...]


async def rounds(
    url: str,
    stop: threading.Event,
    look: Callable[[psycopg.AsyncConnection], Awaitable[object]],
    unanswered: str,
    troubles: Troubles = (psycopg.Error,),
    rest_s: float = 0.0,
) -> None:
    """`look`, which may rest by itself, and a rest, until stopped. Raises nothing of `troubles`: money does not wait
    for what is looked for here. `unanswered` is for the log, once for as long as the trouble is the same: tables that
    nobody has needed yet may be missing for ever.
    """
    trouble: type[Exception] | None = None
    while not stop.is_set():
        try:
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, options=SESSION_OPTIONS, **PATIENCE
            ) as connection:
                while not stop.is_set():
                    await look(connection)
                    trouble = None
                    await asyncio.sleep(rest_s)
        except troubles as error:
            if type(error) is not trouble:
                trouble = type(error)
                log.info("%s: %s", unanswered, trouble.__name__)
            await asyncio.sleep(AGAIN_S)


async def beside(follow: Callable[[threading.Event], Awaitable[None]], stop: threading.Event) -> None:
    """`follow` until stopped, begun again after what it did not foresee: it must neither end the process, for which
    money waits, nor end in silence.
    """
    while not stop.is_set():
        try:
            await follow(stop)
        except Exception:
            log.exception("ALARM %s has failed; it begins again in %.0f s", follow.__qualname__, AGAIN_S)
            await asyncio.sleep(AGAIN_S)


class Serving(Protocol):
    """What does its work on one connection."""

    passes: int
    """Carried out so far: one between two failures says that Postgres was there."""

    async def run(self, connection: Connection, stop: threading.Event) -> None:
        """Until told to stop. Raises psycopg.Error."""


async def served(
    url: str, name: str, stop: threading.Event, tables: str, serving: Serving, told: logging.Logger
) -> None:
    """`serving` until stopped, once there are the tables that the query `tables` asks for. Raises
    psycopg.OperationalError after RECONNECTS_MAX, TimeoutError, StoppedWaiting, and what it raises itself.
    """
    reconnects, passes = 0, serving.passes
    while not stop.is_set():
        async with await connected(url, name, stop) as connection:
            try:
                while not (stop.is_set() or await _are_there(connection, tables)):
                    await asyncio.sleep(RETRY_PAUSE_S)  # the sinks make them
                await serving.run(connection, stop)
            except psycopg.OperationalError as error:
                if serving.passes > passes:
                    reconnects, passes = 0, serving.passes
                if reconnects >= RECONNECTS_MAX:
                    raise
                reconnects += 1
                told.warning("postgres connection lost, reconnecting: %s", " ".join(str(error).split()))


async def connected(url: str, name: str, stop: threading.Event) -> Connection:
    """A connection, retried for half a minute. Raises TimeoutError; StoppedWaiting where it was told to stop."""
    attempts = Attempts(name)
    while True:
        try:
            return await psycopg.AsyncConnection.connect(
                url,
                autocommit=True,
                row_factory=dict_row,
                options=SESSION_OPTIONS,
                application_name=name,
                **PATIENCE,
            )
        except psycopg.OperationalError as error:
            attempts.failed(error)
        await asyncio.sleep(RETRY_PAUSE_S)
        if stop.is_set():
            raise attempts.stopped()


async def _are_there(connection: Connection, tables: str) -> bool:
    row = await (await connection.execute(tables.encode())).fetchone()
    return row is not None and bool(row["there"])
