"""Committed records of many partitions as they come, and the word that a partition is read to its end.

Reads brokers (read_committed); keeps no position beyond what was handed out, and commits none: the archive itself says
how far it is. What is handed out lies below the last stable offset: neither a record of an open transaction, nor one
behind it.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.kafka_client import AccessRefused, Brokers, is_refusal
from runtime.kafka_login import refuse_hidden_topics, refuse_wrong_login
from runtime.kafka_reader import METADATA_DEADLINE_S, PositionLost

Partition = tuple[str, int]

_FETCH_RECORDS: Final = 500
_WAIT_S: Final = 0.5
"""Nobody waits for a segment: at low load the process wakes up twice a second."""


class LogTail:
    """Assigned partitions of several topics; the group that the client wants to be given a name for is never joined."""

    def __init__(self, brokers: Brokers, group: str) -> None:
        self._brokers = brokers
        self._consumer = Consumer(
            {
                **brokers.configuration(),
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "reconnect.backoff.ms": 100,
                "reconnect.backoff.max.ms": 1_000,
                "fetch.queue.backoff.ms": 5,
                "queued.max.messages.kbytes": 32_768,
            }
        )

    def require_login(self, topics: Sequence[str]) -> None:
        """Raises AccessRefused, OSError; the client itself would knock for ever, and not know a topic that is hidden
        from it.
        """
        refuse_wrong_login(self._brokers)
        refuse_hidden_topics(self._brokers, topics)

    def kept(self, partition: Partition, at_least: int) -> tuple[int, int]:
        """The first offset kept and the last stable one, asked until that is `at_least` or the deadline passes: a
        broker that has just started answers with an earlier one. Raises KafkaException, AccessRefused.
        """
        give_up_at = time.monotonic() + METADATA_DEADLINE_S
        while True:
            try:
                low, stable = self._consumer.get_watermark_offsets(TopicPartition(*partition), METADATA_DEADLINE_S)
                if stable >= at_least or time.monotonic() > give_up_at:
                    return low, stable
            except KafkaException as error:
                self._refuse_unauthorized(error.args[0])
                if time.monotonic() > give_up_at:
                    raise
            time.sleep(0.25)

    def start(self, next_offsets: Mapping[Partition, int]) -> None:
        """Go on from these offsets."""
        self._consumer.assign([TopicPartition(*partition, at) for partition, at in next_offsets.items()])

    def events(self) -> list[Message]:
        """Records, and ends of partitions (messages with the error _PARTITION_EOF and the offset behind everything that
        can be read). Raises PositionLost, AccessRefused, KafkaException.
        """
        events: list[Message] = self._consumer.consume(_FETCH_RECORDS, _WAIT_S)
        return [event for event in events if event.error() is None or self._is_end(event.error())]

    def close(self) -> None:
        self._consumer.close()

    def _is_end(self, error: KafkaError) -> bool:
        """False for what the client gets over by itself."""
        self._refuse_unauthorized(error)
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise PositionLost(error.str())
        if error.code() == KafkaError._PARTITION_EOF:
            return True
        if error.fatal() or not (error.retriable() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART):
            raise KafkaException(error)
        return False

    def _refuse_unauthorized(self, error: KafkaError) -> None:
        if is_refusal(error):
            raise AccessRefused(self._brokers.explained(error, "read the topics to archive"))
