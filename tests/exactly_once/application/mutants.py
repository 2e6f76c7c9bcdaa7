"""Negative controls: each takes one safeguard out of this process, and the verifier must then find differences.

They live here, so that no switch in the product can ever take a safeguard out.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from runtime import faust_driver
from runtime.exactly_once import commit, membership, restore, transaction
from runtime.exactly_once.contract import ShardStore


def remove_fencing() -> None:
    """Commit without generation and member, whoever owns the partitions: the broker accepts that."""

    def unfenced(member: Any) -> bytes:
        group: bytes = member._application.encode()
        return membership.METADATA_HEADER + struct.pack("=i", -1) + group + b"\0\0\1"

    member: Any = membership.Membership
    member.group_metadata = unfenced
    member._lost = lambda *_: None
    commit.refuse_unless_owned = lambda *_: None


def restore_to_stable_offset() -> None:
    """Read the changelog to its last stable offset, and believe the group's offsets whatever the state says."""
    consumer: Any = restore.RestoreConsumer
    made = consumer.__init__

    def init(self: Any, application: str, settings: Any, *others: Any) -> None:
        made(self, application, settings, *others)
        self._watermarks.close()
        self._watermarks = Consumer(
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "group.id": f"{application}.restore",
                "isolation.level": "read_committed",
            }
        )

    def believe(shard: int, topic: str, offset: int | None, decided: Any, store: ShardStore) -> int:
        return offset or 0

    consumer.__init__ = init
    restored: Any = restore
    restored._resume = believe


def remove_barrier() -> None:
    """Commit while agents are still deciding."""

    async def acknowledged_at_once(driver: Any, messages: Sequence[Any]) -> None:
        return None

    driver: Any = faust_driver.FaustDriver
    driver._acknowledged = acknowledged_at_once


def commit_the_position() -> None:
    """Commit what the consumer has received instead of what was delivered and decided."""

    def send_position(
        producer: Any, offsets: Sequence[TopicPartition], metadata: bytes, send: Callable[..., None]
    ) -> None:
        send(producer, [TopicPartition(o.topic, o.partition, o.offset + 1) for o in offsets], metadata)

    producer: Any = transaction.TransactionProducer
    original = producer.send_offsets
    producer.send_offsets = lambda self, offsets, metadata: send_position(self, offsets, metadata, original)


MUTANTS: dict[str, Callable[[], None]] = {
    "nofence": remove_fencing,
    "lso": restore_to_stable_offset,
    "nobarrier": remove_barrier,
    "position": commit_the_position,
}
