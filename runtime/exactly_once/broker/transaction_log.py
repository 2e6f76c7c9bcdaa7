"""Reads `__transaction_state`: what the coordinator decided for a transaction, in its own words.

The topic is compacted, so an old decision may be gone; `whole` says whether anything is missing from the partition
read.
"""

import struct
import time
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from runtime.exactly_once.broker import wire
from runtime.exactly_once.broker.transaction_admin import Partition
from runtime.kafka_client import AccessRefused, Brokers, is_refusal

TOPIC = "__transaction_state"
STATES = (
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
)
READ_DEADLINE_S = 60.0
"""A million records of 200 bytes take 5 s; compaction keeps the topic far below that."""


class TransactionState(NamedTuple):
    """One record: the state that a transactional id went into."""

    transactional_id: str
    producer_id: int
    epoch: int
    state: str
    partitions: frozenset[Partition]


class TransactionLog(NamedTuple):
    """All states in log order per partition of the topic."""

    states: tuple[TransactionState, ...]
    whole: bool
    """False when compaction or retention removed records: then absence proves nothing."""


def read_transaction_log(brokers: Brokers) -> TransactionLog:
    """Raises TimeoutError when the topic can't be read to its end, AccessRefused when it is not for us to read.

    An empty answer would be taken for “no decision was ever made”, and committed records aborted.
    """
    consumer: Any = Consumer(
        {
            **brokers.configuration(),
            "group.id": "millrace.transaction-log",  # required by the client; neither joined nor committed
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
            "auto.offset.reset": "earliest",
            "log_level": 2,
        }
    )
    try:
        return _read(consumer, brokers)
    finally:
        consumer.close()


def _read(consumer: Any, brokers: Brokers) -> TransactionLog:
    topic = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC]
    if topic.error is not None and is_refusal(topic.error):
        raise AccessRefused(brokers.explained(topic.error, f"read {TOPIC}"))
    numbers = topic.partitions
    ends = {p: consumer.get_watermark_offsets(TopicPartition(TOPIC, p), timeout=10)[1] for p in numbers}
    left = {p for p, end in ends.items() if end > 0}
    consumer.assign([TopicPartition(TOPIC, p, OFFSET_BEGINNING) for p in left])
    states: list[TransactionState] = []
    next_offsets = dict.fromkeys(left, 0)
    whole = True
    deadline = time.monotonic() + READ_DEADLINE_S
    while left:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{TOPIC} not readable to its end")
        for record in consumer.consume(5_000, 0.2):
            if record.error() is not None:
                if is_refusal(record.error()):
                    raise AccessRefused(brokers.explained(record.error(), f"read {TOPIC}"))
                continue
            whole = whole and record.offset() == next_offsets[record.partition()]
            next_offsets[record.partition()] = record.offset() + 1
            if record.value() is not None:
                states.append(decode_state(record.key(), record.value()))
        left = {p for p in left if next_offsets[p] < ends[p]}
    return TransactionLog(tuple(states), whole)


def decode_state(key: bytes, value: bytes) -> TransactionState:
    """One record of the topic. Key: version 0; value: version 0 (plain) or 1 (flexible)."""
    length = struct.unpack_from(">h", key, 2)[0]
    reader = wire.Reader(value)
    version = reader.number("h")
    producer_id, epoch = reader.number("q"), reader.number("h")
    reader.number("i")  # timeout
    state = STATES[reader.number("b")]
    partitions = _flexible_partitions(reader) if version >= 1 else _plain_partitions(reader)
    return TransactionState(key[4 : 4 + length].decode(), producer_id, epoch, state, frozenset(partitions))


def _flexible_partitions(reader: wire.Reader) -> set[Partition]:
    found: set[Partition] = set()

    def read_topic() -> None:
        topic = reader.text()
        found.update((topic, number) for number in reader.array(lambda: reader.number("i")))
        reader.tags()

    reader.array(read_topic)
    return found


def _plain_partitions(reader: wire.Reader) -> set[Partition]:
    found: set[Partition] = set()
    for _ in range(reader.number("i")):
        topic = reader.raw(reader.number("h")).decode()
        found.update((topic, reader.number("i")) for _ in range(reader.number("i")))
    return found
