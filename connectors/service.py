"""The connectors as a process: who is served, and how it begins and ends.

Reads the settings and the providers' keys; runs `Connectors` until SIGTERM or SIGINT.
"""

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaException
from pydantic import SecretStr

from connectors.banks.rest import RestBanks
from connectors.banks.verifications import BankVerifications
from connectors.contract import Provider, ProviderRefusesUs
from connectors.hints import Hints
from connectors.inbox import Inbox
from connectors.inquiries import Inquiries
from connectors.loop import Connectors, Route
from connectors.psp.stripe import StripeProvider
from connectors.questions import Questions
from connectors.rounds import beside
from payments.errors import InvariantViolation
from runtime.exactly_once.broker.broker_version import refuse_broken_broker
from runtime.exactly_once.broker.start_gate import pass_start_gate
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.transaction import TransactionProducer
from runtime.kafka_client import AccessRefused, Brokers
from runtime.personal_data.keyring import KeyringFault
from runtime.settings import Settings
from schemas.access import CONNECTORS

EXIT_REFUSED: Final = 1


class NothingToServe(Exception):
    """No provider is configured. `str()` says how."""


def providers_of(settings: Settings) -> dict[str, Provider]:
    """Every provider that has a key. Raises NothingToServe, KeyringFault, OSError where a key can't be read."""
    found: list[Provider] = []
    if settings.stripe_api_key_file is not None:
        key = SecretStr(settings.stripe_api_key_file.read_text().strip())
        found.append(StripeProvider(key, settings.stripe_url, settings.stripe_return_url))
    if settings.banks != "off":
        found.append(RestBanks.of(settings))
    if not found:
        raise NothingToServe(
            "no provider is configured: set MILLRACE_STRIPE_API_KEY_FILE to a file with the secret key, or"
            " MILLRACE_BANKS=public to call registered banks"
        )
    return {provider.name: provider for provider in found}


def run(settings: Settings, application: str = CONNECTORS, route: Route | None = None) -> int:
    """The process until it is told to end; its exit code, with the reason on stderr where it is not 0."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        asyncio.run(_serve(settings, application, route or Route(), stop))
    except (NothingToServe, ProviderRefusesUs, KeyringFault, OSError) as refused:
        return _ended(str(refused), EXIT_REFUSED)
    except (AccessRefused, InvariantViolation, KafkaException, RuntimeError) as failure:
        return _ended(str(failure), EXIT_CRASHED)
    return 0


async def _serve(settings: Settings, application: str, route: Route, stop: threading.Event) -> None:
    providers = providers_of(settings)
    hints = Hints(settings.database_url)
    following = [
        asyncio.create_task(beside(each.follow, stop))
        for each in (hints, Inquiries(settings, providers), Questions(settings, providers))
    ]
    following += [
        asyncio.create_task(beside(BankVerifications(settings.database_url, banks).follow, stop))
        for banks in providers.values()
        if isinstance(banks, RestBanks)
    ]
    try:
        await _joined(settings, application, route, providers, hints).run(stop)
    finally:
        for task in following:
            task.cancel()
        for provider in providers.values():
            await provider.close()


def _joined(
    settings: Settings, application: str, route: Route, providers: Mapping[str, Provider], hints: Hints
) -> Connectors:
    """Fence the slot's previous incarnation, then join the group: its offsets are decided by then."""
    brokers, failpoints = Brokers.of(settings), Failpoints(settings.failpoint)
    refuse_broken_broker(brokers, accept=settings.accept_broker_version)
    producer = TransactionProducer(application, settings, failpoints, lambda name: pass_start_gate(brokers, name))
    producer.start()
    inbox = Inbox(application, route.requests, settings)
    connectors = Connectors(inbox, producer, providers, settings.connector_slots, _now_us, failpoints, route, hints)
    inbox.join()
    return connectors


def _now_us() -> int:
    return time.time_ns() // 1_000


def _ended(reason: str, code: int) -> int:
    sys.stderr.write(f"millrace: connectors: {' '.join(reason.split())}\n")
    return code
