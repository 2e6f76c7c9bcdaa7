"""The process `millrace notifications`: plans and sends notices until it is told to stop.

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

from connectors.notifications.channels.contract import MessageChannel
from connectors.notifications.channels.email import EmailChannel
from connectors.notifications.channels.push import PushChannel
from connectors.notifications.channels.sms import SmsChannel
from connectors.notifications.dispatcher import Composer, Dispatcher
from connectors.notifications.planning import Planner
from connectors.notifications.rendering import Renderer, TemplatesRefused
from connectors.rounds import served
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import Failpoints
from runtime.personal_data.keyring import Keyring, KeyringFault
from runtime.personal_data.sealing import Tampered
from runtime.personal_data.store import PersonalData
from runtime.postgres import StoppedWaiting
from runtime.settings import Settings
from schemas.tables.notifications import Channel

LOGGER = logging.getLogger("millrace.notifications")

LOG_INTERVAL_S: Final = 10
EXIT_REFUSED: Final = 1

_TABLES: Final = "SELECT to_regclass('notices') IS NOT NULL AND to_regclass('event_feed') IS NOT NULL AS there"


class NothingToServe(Exception):
    """No channel is configured. `str()` says how."""


def channels_of(settings: Settings) -> dict[Channel, MessageChannel]:
    """Every channel that has a server or provider. Raises NothingToServe, OSError, ValueError."""
    found: dict[Channel, MessageChannel] = {}
    if settings.smtp_host:
        found[Channel.EMAIL] = EmailChannel.of(settings)
    if settings.sms_url:
        found[Channel.SMS] = SmsChannel.of(settings)
    if settings.push_url:
        found[Channel.PUSH] = PushChannel.of(settings)
    if not found:
        raise NothingToServe("no channel is configured: set MILLRACE_SMTP_HOST, MILLRACE_SMS_URL or MILLRACE_PUSH_URL")
    return found


def dispatcher_of(settings: Settings) -> Dispatcher:
    """Raises NothingToServe, TemplatesRefused, KeyringFault, OSError, ValueError."""
    keyring, failpoints = Keyring.of(settings), Failpoints(settings.failpoint)
    personal, channels = PersonalData(keyring), channels_of(settings)
    planner = Planner(personal, frozenset(channels), settings.notices_per_hour, failpoints)
    composer = Composer(personal, Renderer(settings.notice_templates), keyring.index_key, settings.api_public_url)
    return Dispatcher(planner, composer, channels, settings.notice_slots, failpoints)


async def serve(settings: Settings, stop: threading.Event) -> None:
    """Until stopped. Raises as dispatcher_of, and Tampered, TimeoutError, psycopg.Error."""
    dispatcher = dispatcher_of(settings)
    reporting = asyncio.create_task(_report(dispatcher))
    try:
        await served(settings.database_url, "millrace notifications", stop, _TABLES, dispatcher, LOGGER)
    finally:
        reporting.cancel()
        dispatcher.close()


async def _report(dispatcher: Dispatcher) -> None:
    while True:
        await asyncio.sleep(LOG_INTERVAL_S)
        told = {name: count for name, count in sorted(dispatcher.figures.items()) if count}
        if told:
            LOGGER.info(" ".join(f"{name}={count}" for name, count in told.items()))
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
    except (NothingToServe, TemplatesRefused) as error:
        sys.stderr.write(f"millrace: notifications: {error}\n")
        return EXIT_REFUSED
    except (KeyringFault, Tampered, TimeoutError, OSError, ValueError, psycopg.Error) as error:
        sys.stderr.write(f"millrace: notifications: {' '.join(str(error).split())}\n")
        return EXIT_CRASHED
    return 0
