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

from connectors.rounds import served
from connectors.webhooks.dispatcher import Dispatcher
from connectors.webhooks.sending import Sender
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import Failpoints
from runtime.personal_data.keyring import Keyring, KeyringFault
from runtime.personal_data.sealing import Tampered
from runtime.postgres import StoppedWaiting
from runtime.settings import Settings

LOGGER = logging.getLogger("millrace.webhooks")

LOG_INTERVAL_S: Final = 10
_TABLES: Final = "SELECT to_regclass('webhook_deliveries') IS NOT NULL AS there"


async def serve(settings: Settings, stop: threading.Event) -> None:
    """Until stopped. Raises KeyringFault, Tampered, TimeoutError, OSError, psycopg.Error."""
    sender = Sender.of(settings)
    dispatcher = Dispatcher(sender, Keyring.of(settings), settings.webhook_slots, Failpoints(settings.failpoint))
    reporting = asyncio.create_task(_report(dispatcher))
    try:
        await served(settings.database_url, "millrace webhooks", stop, _TABLES, dispatcher, LOGGER)
    finally:
        reporting.cancel()
        await sender.close()


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
    except StoppedWaiting as waited:
        LOGGER.info(str(waited))
    except (KeyringFault, Tampered, TimeoutError, OSError, psycopg.Error) as error:
        sys.stderr.write(f"millrace: webhooks: {' '.join(str(error).split())}\n")
        return EXIT_CRASHED
    return 0
