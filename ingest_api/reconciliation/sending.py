"""Approved adjustments → payments.commands, from a command: in an API process `Submission` does it."""

from typing import Final

from confluent_kafka import KafkaError, Message, Producer
from psycopg import Connection

from ingest_api.publisher import DeliveryUnknown, require_shards
from ingest_api.submission import record_headers
from reconciliation.breaks import posting
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.codec.instructions import encode_instruction
from schemas.partitioning import shard_of
from schemas.topics import COMMANDS

_CLIENT: Final = "millrace-recon"


def send_approved(settings: Settings, connection: Connection) -> int:
    """Every journal that was approved and is not in the ledger yet, once more; how many. Their keys make each one be
    posted once. Raises DeliveryUnknown, Unavailable, psycopg.Error.
    """
    waiting = list(posting.to_post(connection))
    if not waiting:
        return 0
    brokers, failures = Brokers.of(settings), []
    timeout_ms = settings.api_delivery_timeout_ms
    producer = Producer(
        {
            **brokers.configuration(),
            "client.id": _CLIENT,
            "acks": "all",
            "enable.idempotence": True,
            "delivery.timeout.ms": timeout_ms,
            "request.timeout.ms": timeout_ms // 2,
        }
    )
    require_shards(producer, brokers, settings.shards)

    def report(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error.str())

    for one in waiting:
        authority = one.asked.authority
        producer.produce(
            COMMANDS.name,
            value=encode_instruction(one.asked),
            key=authority,
            partition=shard_of(authority, settings.shards),
            headers=record_headers(one.asked.envelope.idempotency_key, None),
            on_delivery=report,
        )
    left = producer.flush(timeout_ms / 1_000 + 1)  # the delivery time-out ends first, with a report for each
    if failures or left:
        raise DeliveryUnknown(failures[0] if failures else "Kafka did not answer in time")
    return len(waiting)
