"""recon_inquiries → connectors.requests: attempts that reconciliation asks for, like the connectors' own later ones.

Reads what is not sent; writes the request as the ledger made it, with another attempt number, dated by its first one
and due when nobody sends its operation any more: the attempt is an inquiry and nothing else (connectors.attempt).
Guarantees: a crash between sending and noting it sends the same attempt twice, and the ledger counts an attempt once.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from confluent_kafka import Producer

from connectors.asked import AT_ONCE, LOOK_S, TROUBLES, LedgerPlace, LedgerRequests, NotAsked, OwnedRequest
from connectors.attempt import sent_until_us
from connectors.contract import Provider
from connectors.rounds import rounds
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.access import CONNECTORS
from schemas.codec.connectors import ConnectorRequest, encode_request
from schemas.topics import CONNECTOR_REQUESTS

FLUSH_S: Final = 10.0
"""Below the 20 s that Postgres lets a transaction wait, and a supervisor this process. What failed is asked again."""

_TAKE: Final = """
SELECT request_id, attempt, ledger_shard, ledger_offset, entry_index FROM recon_inquiries
WHERE sent_at IS NULL AND refusal = '' ORDER BY asked_at LIMIT %s FOR UPDATE SKIP LOCKED"""
_SENT: Final = """
UPDATE recon_inquiries SET sent_at = CASE WHEN %s = '' THEN now() END, refusal = %s
WHERE request_id = %s AND attempt = %s"""

Row = tuple[Any, int, int, int, int]


class Inquiries:
    """Sends what is asked for."""

    def __init__(self, settings: Settings, providers: Mapping[str, Provider]) -> None:
        self._url = settings.database_url
        self._providers = providers
        self._brokers = Brokers.of(settings)

    async def follow(self, stop: threading.Event) -> None:
        """Until stopped. Never raises: money does not wait for it."""
        await rounds(self._url, stop, self.look, "no inquiries for reconciliation", TROUBLES, LOOK_S)

    async def look(self, connection: psycopg.AsyncConnection) -> int:
        """Send the oldest; how many. Raises psycopg.Error, KafkaException, AccessRefused, TimeoutError."""
        async with connection.transaction():
            rows = await (await connection.execute(_TAKE, (AT_ONCE,))).fetchall()
            refusals = await asyncio.to_thread(self._send, rows) if rows else []
            for (id_, attempt, *_), refusal in zip(rows, refusals, strict=True):
                await connection.execute(_SENT, (refusal, refusal, id_, attempt))
        return len(rows)

    def _send(self, rows: Sequence[Row]) -> list[str]:
        """Why each is not sent; empty where Kafka has it."""
        producer = Producer({**self._brokers.configuration(), "acks": "all", "enable.idempotence": True})
        failures: list[str] = []
        refusals: list[str] = []
        with LedgerRequests.reading(self._brokers, CONNECTORS) as ledger:
            for request_id, attempt, *place in rows:
                try:
                    asked = ledger.at(LedgerPlace(*place), request_id.bytes)
                except NotAsked as wrong:
                    refusals.append(str(wrong))
                    continue
                producer.produce(
                    CONNECTOR_REQUESTS.name,
                    encode_request(self._attempt_of(asked, attempt)),
                    asked.owner,
                    place[0],
                    on_delivery=lambda error, _: failures.append(error.str()) if error is not None else None,
                )
                refusals.append("")
        if producer.flush(FLUSH_S) or failures:
            raise TimeoutError(f"Kafka did not take an inquiry: {failures[:1]}")  # so that none is noted as sent
        return refusals

    def _attempt_of(self, asked: OwnedRequest, attempt: int) -> ConnectorRequest:
        again = asked.request._replace(attempt=attempt, first_asked_at_us=asked.asked_at_us)
        provider = self._providers.get(again.provider)
        return again._replace(not_before_us=sent_until_us(provider, again)) if provider is not None else again
