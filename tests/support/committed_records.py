"""What a topic holds for a reader of committed records: all of it, at once."""

import time
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

from tests.support.waiting import PATIENCE_S


def committed_records(bootstrap: str, topic: str, partitions: int) -> list[Message]:
    """Every record to the last stable offset of now, in the order of each partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topic}.test",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,  # what an empty partition waits for its end
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    found: list[Message] = []
    ended: set[int] = set()
    give_up_at_s = time.monotonic() + PATIENCE_S
    while len(ended) < partitions:
        assert time.monotonic() < give_up_at_s
        record: Any = consumer.poll(1)
        if record is not None and record.error() is not None:
            ended.add(record.partition())
        elif record is not None:
            found.append(record)
    consumer.close()
    return found
