"""The process `millrace webhooks`: sends what is queued until it is told to stop.

Any number may run at once. Survives, within a bound, restarts of Postgres; everything else ends the process with a
reason, and the supervisor starts it again.
"""

import asyncio
import logging
import signal
import sys
import threading
from typing import Final

import psycopg
from psycopg.rows import dict_row

from connectors.webhooks.deliveries import Connection
from connectors.webhooks.dispatcher import Dispatcher
from connectors.webhooks.sending import Sender
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import Failpoints
from runtime.personal_data.keyring import Keyring, KeyringFault
from runtime.personal_data.sealing import Tampered
from runtime.postgres import CONNECT_DEADLINE_S, RETRY_PAUSE_S, SESSION_OPTIONS
from runtime.settings import Settings

LOGGER = logging.getLogger("millrace.webhooks")

LOG_INTERVAL_S: Final = 10
RECONNECTS_MAX: Final = 5
"""In a row. Each one waits up to half a minute for Postgres."""

_TABLES: Final = "SELECT to_regclass('webhook_deliveries') IS NOT NULL AS there"


async def serve(settings: Settings, stop: threading.Event) -> None:
    """Until stopped. Raises KeyringFault, Tampered, TimeoutError, OSError, psycopg.Error."""
    sender = Sender.of(settings)
    dispatcher = Dispatcher(sender, Keyring.of(settings), settings.webhook_slots, Failpoints(settings.failpoint))
    reporting = asyncio.create_task(_report(dispatcher))
    reconnects = 0
    try:
        while not stop.is_set():
            async with await connected(settings.database_url) as connection:
                try:
                    while not (stop.is_set() or await _tables_there(connection)):
                        await asyncio.sleep(RETRY_PAUSE_S)  # the events sink makes them
                    await dispatcher.run(connection, stop)
                except psycopg.OperationalError as error:
                    if reconnects >= RECONNECTS_MAX:
                        raise
                    reconnects += 1
                    LOGGER.warning("postgres connection lost, reconnecting: %s", " ".join(str(error).split()))
    finally:
        reporting.cancel()
        await sender.close()


async def connected(url: str, name: str = "millrace webhooks") -> Connection:
    """A connection, retried for half a minute. Raises TimeoutError."""
    give_up_at = asyncio.get_running_loop().time() + CONNECT_DEADLINE_S
    while True:
        try:
            return await psycopg.AsyncConnection.connect(
                url,
                autocommit=True,
                row_factory=dict_row,
                options=SESSION_OPTIONS,
                application_name=name,
                connect_timeout=5,
            )
        except psycopg.OperationalError as error:
            if asyncio.get_running_loop().time() >= give_up_at:
                raise TimeoutError(f"Postgres did not answer for {CONNECT_DEADLINE_S} s: check DATABASE_URL") from error
        await asyncio.sleep(RETRY_PAUSE_S)


async def _tables_there(connection: Connection) -> bool:
    row = await (await connection.execute(_TABLES)).fetchone()
    return row is not None and bool(row["there"])


async def _report(dispatcher: Dispatcher) -> None:
    while True:
        await asyncio.sleep(LOG_INTERVAL_S)
        if dispatcher.figures:
            LOGGER.info(" ".join(f"{name}={count}" for name, count in sorted(dispatcher.figures.items())))
            dispatcher.figures.clear()


def run(settings: Settings) -> int:
    """The process until SIGTERM or SIGINT; its exit code, with the reason on stderr where it is not 0."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        asyncio.run(serve(settings, stop))
    except (KeyringFault, Tampered, TimeoutError, OSError, psycopg.Error) as error:
        sys.stderr.write(f"millrace: webhooks: {' '.join(str(error).split())}\n")
        return EXIT_CRASHED
    return 0
