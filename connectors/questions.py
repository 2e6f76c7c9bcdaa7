"""recon_questions → recon_provider_states: look-ups for reconciliation, which has none of the providers' keys.

Reads what is asked for and the request in the ledger; calls `Provider.inquire`, which moves nothing, at most five times
a second. Guarantees: what was said is written together with the end of its question; a question that a crash has left
is taken again two minutes later; one that nobody has carried out in 15 minutes is none any more.
"""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import psycopg

from connectors.asked import AT_ONCE, LOOK_S, TROUBLES, LedgerPlace, LedgerRequests, NotAsked
from connectors.attempt import CALL_TIMEOUT_S
from connectors.contract import Answer, Provider, ProviderRefusesUs
from connectors.rounds import rounds
from payments.commerce.connector import ConnectorOperation, ConnectorRequest, Outcome
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.access import CONNECTORS
from schemas.tables.provider_states import KEEP

_TAKE: Final = """
UPDATE recon_questions SET taken_at = now() WHERE request_id IN (
    SELECT request_id FROM recon_questions
    WHERE answered_at IS NULL AND asked_at > now() - interval '15 minutes'
        AND (taken_at IS NULL OR taken_at < now() - interval '2 minutes')
    ORDER BY asked_at, request_id LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING request_id, ledger_shard, ledger_offset, entry_index, provider_reference"""
_ANSWERED: Final = "UPDATE recon_questions SET answered_at = now(), refusal = %s WHERE request_id = %s"

Row = tuple[Any, int, int, int, str]


class Questions:
    """Carries out what is asked for."""

    def __init__(self, settings: Settings, providers: Mapping[str, Provider]) -> None:
        self._url = settings.database_url
        self._providers = providers
        self._brokers = Brokers.of(settings)

    async def follow(self, stop: threading.Event) -> None:
        """Until stopped. Never raises: money does not wait for it."""
        await rounds(self._url, stop, self._look_and_rest, "no questions of reconciliation", TROUBLES)

    async def _look_and_rest(self, connection: psycopg.AsyncConnection) -> None:
        began_s = time.monotonic()
        await self.look(connection)
        await asyncio.sleep(max(0.0, LOOK_S - (time.monotonic() - began_s)))

    async def look(self, connection: psycopg.AsyncConnection) -> int:
        """Carry out the oldest; how many. Raises psycopg.Error, KafkaException, AccessRefused, TimeoutError."""
        rows = await (await connection.execute(_TAKE, (AT_ONCE,))).fetchall()
        if rows:
            asked = await asyncio.to_thread(lambda: dict(self._requests(rows)))
            told = await asyncio.gather(*(self._told(request) for request in asked.values()))
            for id_, said in zip(asked, told, strict=True):
                await _write(connection, id_, said)
        return len(rows)

    def _requests(self, rows: Sequence[Row]) -> Iterator[tuple[UUID, ConnectorRequest | str]]:
        """Each as a look-up, or why it is none."""
        with LedgerRequests.reading(self._brokers, CONNECTORS) as ledger:
            for id_, *place, reference in rows:
                try:
                    owned = ledger.at(LedgerPlace(*place), id_.bytes)
                except NotAsked as wrong:
                    yield id_, str(wrong)
                    continue
                yield id_, look_up(owned.request._replace(first_asked_at_us=owned.asked_at_us), reference)

    async def _told(self, request: ConnectorRequest | str) -> Answer | str:
        if isinstance(request, str):
            return request
        provider = self._providers.get(request.provider)
        if provider is None:
            return f"no {request.provider} is configured here"
        try:
            return await answer_of(provider, request) or "no answer"
        except ProviderRefusesUs as fault:
            return str(fault)


def look_up(request: ConnectorRequest, reference: str) -> ConnectorRequest:
    """By the provider's own name where one is given."""
    return (
        request._replace(operation=ConnectorOperation.INQUIRE, provider_reference=reference) if reference else request
    )


async def answer_of(provider: Provider, request: ConnectorRequest) -> Answer | None:
    """None where nothing was learnt. Raises ProviderRefusesUs."""
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            answer = await provider.inquire(request)
    except TimeoutError:
        return None
    return None if answer.outcome is Outcome.UNKNOWN and not answer.is_without_trace else answer


async def _write(connection: psycopg.AsyncConnection, id_: UUID, said: Answer | str) -> None:
    async with connection.transaction():
        if isinstance(said, Answer):
            row = (
                *(id_, datetime.now(UTC), said.outcome.value, not said.is_without_trace, said.provider_reference),
                *(said.provider_code, said.moved_minor, said.moved_currency),
            )
            await connection.execute(KEEP, row)
        await connection.execute(_ANSWERED, ("" if isinstance(said, Answer) else said, id_))
