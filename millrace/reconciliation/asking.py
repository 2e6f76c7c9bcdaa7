"""Providers asked about movements, for internal reconciliation: look-ups alone, so many a second and no more.

Reads what the ledger has asked of them; calls `Provider.inquire`, which moves nothing. A provider that does not answer,
or is not configured here, is left out: what is not known is no finding.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from confluent_kafka import KafkaException

from connectors.asked import AT_ONCE, LOOK_S, LedgerPlace, LedgerRequests, NotAsked
from connectors.contract import Answer, Provider, ProviderRefusesUs
from connectors.questions import answer_of, look_up
from connectors.service import NothingToServe, providers_of
from millrace.environment import EnvironmentFault
from payments.commerce.connector import ConnectorRequest
from reconciliation.internal.questions import name_of
from reconciliation.internal.views import Movement, ProviderView
from runtime.kafka_client import AccessRefused, Brokers
from runtime.personal_data.keyring import KeyringFault
from runtime.settings import Settings

GROUP: Final = "millrace.recon"
SILENT_MAX: Final = 5
"""Look-ups in a row that a provider may leave unanswered; each takes up to 30 s, so it is asked no more by this run."""


def ask(settings: Settings, asked: Sequence[Movement]) -> Mapping[UUID, ProviderView]:
    """What the providers say of each. Raises EnvironmentFault where one refuses us, or the ledger can't be read."""
    try:
        return asyncio.run(_asked(settings, asked))
    except NothingToServe as fault:
        raise EnvironmentFault(f"{fault}; or compare without asking: --no-ask") from fault
    except (ProviderRefusesUs, KeyringFault, AccessRefused, OSError, KafkaException) as fault:
        raise EnvironmentFault(" ".join(str(fault).split())) from fault


async def _asked(settings: Settings, asked: Sequence[Movement]) -> dict[UUID, ProviderView]:
    providers = providers_of(settings)
    try:
        with LedgerRequests.reading(Brokers.of(settings), GROUP) as ledger:
            found = ((one.id, _request(ledger, one)) for one in asked)
            requests = {id_: request for id_, request in found if request is not None}
        return await _answers(providers, requests)
    finally:
        for provider in providers.values():
            await provider.close()


def _request(ledger: LedgerRequests, movement: Movement) -> ConnectorRequest | None:
    """A look-up of it; None where the ledger does not ask for it (which `millrace replay` finds)."""
    attempt = movement.attempt
    if attempt is None or attempt.asked_in is None:
        return None
    try:
        owned = ledger.at(LedgerPlace(*attempt.asked_in), movement.id.bytes)
    except NotAsked:
        return None
    return look_up(owned.request._replace(first_asked_at_us=owned.asked_at_us), name_of(attempt))


async def _answers(
    providers: Mapping[str, Provider], requests: Mapping[UUID, ConnectorRequest]
) -> dict[UUID, ProviderView]:
    found, silent = {}, Counter[str]()
    for id_, request in requests.items():
        provider = providers.get(request.provider)
        if provider is None or silent[provider.name] == SILENT_MAX:
            continue
        began_s = time.monotonic()
        answer = await answer_of(provider, request)
        if answer is not None:
            found[id_] = view_of(answer, datetime.now(UTC))
        silent[provider.name] = 0 if answer is not None else silent[provider.name] + 1
        await asyncio.sleep(max(0, LOOK_S / AT_ONCE - (time.monotonic() - began_s)))
    return found


def view_of(answer: Answer, at: datetime) -> ProviderView:
    """An answer, as the comparison takes it."""
    return ProviderView(
        answer.outcome,
        not answer.is_without_trace,
        answer.provider_reference,
        answer.provider_code,
        answer.moved_minor,
        answer.moved_currency,
        at,
    )
