"""Tables looked at again and again: one connection for as long as Postgres keeps it, another one after trouble."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Final

import psycopg

log = logging.getLogger("millrace.connectors")

AGAIN_S: Final = 5.0
"""After trouble, and until the tables are made."""

_CONNECT_S: Final = 5

Troubles = tuple[type[Exception], ...]


async def rounds(
    url: str,
    stop: threading.Event,
    look: Callable[[psycopg.AsyncConnection], Awaitable[object]],
    unanswered: str,
    troubles: Troubles = (psycopg.Error,),
) -> None:
    """`look`, which rests as long as it wants to, until stopped. Raises nothing of `troubles`: money does not wait for
    what is looked for here. `unanswered` is for the log.
    """
    while not stop.is_set():
        try:
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=_CONNECT_S
            ) as connection:
                while not stop.is_set():
                    await look(connection)
        except troubles as error:
            log.info("%s: %s", unanswered, type(error).__name__)
            await asyncio.sleep(AGAIN_S)
