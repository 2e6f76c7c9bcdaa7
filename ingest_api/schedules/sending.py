"""Issued occurrences → payments.commands, and what is done about one of which nobody knows whether it was sent.

The agents remember a key for IDEMPOTENCY_WINDOW_HOURS, so sending the same occurrence again within that time moves
nothing. An occurrence that still counts as not sent after half of it is *doubtful*: it is no longer sent on suspicion.
Postgres is asked first. If it shows the decision, the occurrence was sent. If it shows none although the sink has
applied every command that was in the log when the last such sending can have arrived, it was not, and its window begins
anew. As long as the sink is behind that place, it waits.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from confluent_kafka import KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from psycopg import Connection
from psycopg.rows import dict_row

from ingest_api.publisher import require_shards
from ingest_api.schedules.rows import terms_of
from ingest_api.submission import record_headers
from payments.book import IDEMPOTENCY_WINDOW_HOURS
from payments.commands import Command
from payments.identifiers import shard_of_operation
from payments.terms.occurrences import idempotency_key
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.codec.commands import encode_command
from schemas.partitioning import shard_of
from schemas.topics import COMMANDS

LOGGER = logging.getLogger(__name__)

SENT_AGAIN_HOURS: Final = IDEMPOTENCY_WINDOW_HOURS // 2
"""So long after it was issued an occurrence is sent without a question: the clocks of Postgres and the brokers may
differ by more than a day before a key can be forgotten meanwhile."""

ARRIVED_HOURS: Final = SENT_AGAIN_HOURS + 1
"""By then, on the brokers' clock, what was sent has arrived: 10 s of delivery time-out, and clocks that differ."""

TAKEN_S: Final = 10
"""A process that stood still for longer since it took its rows sends nothing: they may be somebody else's by now."""

_ANSWER_S: Final = 10
_TAKE: Final = f"""
SELECT schedule_id, wall, attempt, due_at, payment_id, payer, payee, amount_minor, currency, memo
FROM schedule_occurrences
WHERE sent_at IS NULL AND unsent_at > now() - interval '{SENT_AGAIN_HOURS} hours'
ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED"""
_MARK: Final = "UPDATE schedule_occurrences SET sent_at = clock_timestamp() WHERE payment_id = ANY(%s)"
_DOUBTFUL: Final = f"""
SELECT payment_id, unsent_at FROM schedule_occurrences
WHERE sent_at IS NULL AND unsent_at < now() - interval '{ARRIVED_HOURS + 1} hours'
ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED"""
_DECIDED: Final = """
UPDATE schedule_occurrences AS tried SET sent_at = decided_at FROM decisions
WHERE tried.payment_id = ANY(%s) AND decisions.payment_id = tried.payment_id"""
_NEVER_SENT: Final = """
UPDATE schedule_occurrences SET unsent_at = now()
WHERE payment_id = %(payment)s AND sent_at IS NULL
AND NOT EXISTS (SELECT FROM decisions WHERE payment_id = %(payment)s)
AND EXISTS (SELECT FROM sink_progress WHERE shard = %(shard)s AND commands_next_offset >= %(offset)s)"""


class Taken(NamedTuple):
    """An occurrence that this process alone may send, until its transaction ends."""

    payment_id: UUID
    due_at: datetime
    command: Command


def take(connection: Connection, limit: int) -> list[Taken]:
    """Those that are to be sent, the longest due first. Part of the caller's transaction, which keeps them locked."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_taken(row) for row in cursor.execute(_TAKE, (limit,)).fetchall()]


def _taken(row: dict[str, Any]) -> Taken:
    key = idempotency_key(row["schedule_id"].bytes, row["wall"], row["attempt"])
    return Taken(row["payment_id"], row["due_at"], terms_of(row).command(key))


def mark_sent(connection: Connection, sent: Sequence[Taken]) -> None:
    """Kafka has them."""
    if sent:
        connection.execute(_MARK, ([one.payment_id for one in sent],))


class CommandLog:
    """payments.commands, as the scheduler writes it and asks about it."""

    def __init__(self, settings: Settings) -> None:
        self.shards = settings.shards
        self._timeout_s = settings.api_delivery_timeout_ms / 1_000
        self._brokers = Brokers.of(settings)
        self._producer = Producer(
            {
                **self._brokers.configuration(),
                "client.id": "millrace-scheduler",
                "acks": "all",
                "enable.idempotence": True,
                "delivery.timeout.ms": settings.api_delivery_timeout_ms,
                "request.timeout.ms": settings.api_delivery_timeout_ms // 2,
                "logger": LOGGER,
            }
        )

    def require_shards(self) -> None:
        """Raises Unavailable where the topic is missing or has another number of partitions."""
        require_shards(self._producer, self._brokers, self.shards)

    def send(self, taken: Sequence[Taken], taken_at_s: float) -> list[Taken]:
        """Those that all in-sync replicas have; the others may or may not be in the log. Raises KafkaException."""
        if time.monotonic() - taken_at_s > TAKEN_S:
            return []
        sent: list[Taken] = []
        failures: list[KafkaError] = []

        def report(one: Taken, error: KafkaError | None, _: Message) -> None:
            if error is None:
                sent.append(one)
            else:
                failures.append(error)

        for one in taken:
            command = one.command
            self._producer.produce(
                COMMANDS.name,
                value=encode_command(command),
                key=command.authority,
                partition=shard_of(command.authority, self.shards),
                headers=record_headers(command.idempotency_key, None),
                on_delivery=partial(report, one),
            )
        self._producer.flush(self._timeout_s + 1)  # the delivery time-out ends first, with a report for each
        if failures:
            why = self._brokers.explained(failures[0], f"write {COMMANDS.name}")
            LOGGER.warning("%d occurrences are sent again later: %s", len(taken) - len(sent), why)
        return sent

    def offset_at(self, shard: int, at: datetime) -> int | None:
        """The first record that came then or later; None where there is none yet. Raises KafkaException."""
        admin = AdminClient(self._brokers.configuration())
        place = TopicPartition(COMMANDS.name, shard)
        asked = {place: OffsetSpec.for_timestamp(int(at.timestamp() * 1_000))}
        offset = admin.list_offsets(asked, request_timeout=_ANSWER_S)[place].result().offset
        return offset if offset >= 0 else None


def settle_doubts(connection: Connection, log: CommandLog, limit: int) -> int:
    """How many doubtful occurrences there are; what can be known of them is. Part of the caller's transaction."""
    rows = connection.execute(_DOUBTFUL, (limit,)).fetchall()
    if rows:
        connection.execute(_DECIDED, ([payment_id for payment_id, _ in rows],))
    for payment_id, unsent_at in rows:
        shard = shard_of_operation(payment_id.bytes)
        offset = log.offset_at(shard, unsent_at + timedelta(hours=ARRIVED_HOURS))
        if offset is not None:
            connection.execute(_NEVER_SENT, {"payment": payment_id, "shard": shard, "offset": offset})
    return len(rows)
