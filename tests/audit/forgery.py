"""Copies of a topic in which something was changed: same offsets and record times as far as nothing was left out."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import Producer

from millrace.audit.ledger.partition_log import AuditedTopics
from schemas.codec.ledger import GENESIS_HASH, decode_ledger_record, encode_ledger_record, record_hash
from tests.audit.pipeline import SHARDS, Pipeline, make_topics, records_of


@dataclass
class ForgedRecord:
    """A record that may be changed before it is written again."""

    offset: int
    key: bytes | None
    value: bytes
    time_ms: int


Partitions = list[list[ForgedRecord]]
Forge = Callable[[Partitions], object]


def forged(pipeline: Pipeline, topic: str, forge: Forge) -> AuditedTopics:
    """The pipeline's topics with one of them (a field of AuditedTopics) replaced by a forged copy."""
    source = getattr(pipeline.topics, topic)
    target = getattr(make_topics(pipeline.bootstrap, "CreateTime"), topic)
    partitions: Partitions = [[] for _ in range(SHARDS)]
    for message in records_of(pipeline.bootstrap, source):
        partition, offset, value = message.partition(), message.offset(), message.value()
        assert partition is not None
        assert offset is not None
        record = ForgedRecord(offset, message.key(), value or b"", message.timestamp()[1])
        partitions[partition].append(record)
    forge(partitions)
    _write(pipeline.bootstrap, target, partitions)
    return pipeline.topics._replace(**{topic: target})


def _write(bootstrap: str, topic: str, partitions: Partitions) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": secrets.token_hex(5)})
    producer.init_transactions(30)
    for partition, records in enumerate(partitions):
        position = 0
        producer.begin_transaction()
        for record in records:
            if record.offset == position + 1:  # where a marker stood, the end of a transaction puts one again
                producer.commit_transaction(30)
                producer.begin_transaction()
                position += 1
            producer.produce(topic, record.value, record.key, partition, timestamp=record.time_ms)
            position += 1
        producer.commit_transaction(30)


def relinked(records: list[ForgedRecord]) -> None:
    """Make the hash chain of a forged ledger whole again, as somebody with access to all of it would."""
    previous = GENESIS_HASH
    for record in records:
        packed = decode_ledger_record(record.value)
        header = packed.header._replace(previous_hash=previous)
        record.value = encode_ledger_record(header, list(packed.entries()), packed.descriptions)
        previous = record_hash(record.value)
