"""A record of a transaction that its coordinator knows nothing of: the request arrives after everything is over.

Written over the raw wire, because no client would do it (KIP-890 describes how a delayed request does). The broker has
to be told not to verify partitions (`transaction.partition.verification.enable=false`); then nothing ever ends it.
"""

import struct
import time

from confluent_kafka import Producer

from runtime.exactly_once.broker import transaction_admin, wire
from runtime.kafka_client import Brokers

PRODUCE, PRODUCE_VERSION = 0, 9
TRANSACTIONAL = 0x10
_CASTAGNOLI = 0x82F63B78


def write_stray(bootstrap: str, transactional_id: str, topic: str, partition: int, value: bytes) -> None:
    """Leave one record of `transactional_id` on a partition that was never added to a transaction of it. Raises
    RuntimeError where the broker refuses it."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": transactional_id, "transaction.timeout.ms": 5_000}
    )
    producer.init_transactions(30)
    view = transaction_admin.cluster(Brokers(bootstrap))
    own = transaction_admin.transaction(view, transactional_id)
    batch = record_batch(own.producer_id, own.epoch, value)
    written = wire.int32(partition) + wire.varint(len(batch) + 1) + batch + b"\0"
    body = (
        wire.text(transactional_id)
        + struct.pack(">hi", -1, 10_000)
        + wire.array([wire.text(topic) + wire.array([written], bytes) + b"\0"], bytes)
        + b"\0"
    )
    answer = wire.ask(view.brokers[view.leaders[topic, partition]], PRODUCE, PRODUCE_VERSION, body)
    answer.varint()  # one topic
    answer.text()
    answer.varint()  # one partition
    answer.number("i")
    error = answer.number("h")
    if error:
        raise RuntimeError(f"the stray write to {topic}[{partition}] was refused: error {error}")


def record_batch(producer_id: int, epoch: int, value: bytes) -> bytes:
    """One transactional record without a key, as the log keeps it (magic 2)."""
    now_ms = time.time_ns() // 1_000_000
    record = b"\0" + _zigzag(0) + _zigzag(0) + _zigzag(-1) + _zigzag(len(value)) + value + _zigzag(0)
    records = _zigzag(len(record)) + record
    checked = struct.pack(">hiqqqhii", TRANSACTIONAL, 0, now_ms, now_ms, producer_id, epoch, 0, 1) + records
    behind_length = struct.pack(">ibI", -1, 2, crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(behind_length)) + behind_length


def crc32c(content: bytes) -> int:
    """The checksum of a batch. Bit by bit: one record per scenario."""
    crc = 0xFFFF_FFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF


def _zigzag(value: int) -> bytes:
    return wire.varint(value << 1 ^ value >> 31)
