"""A reader of assigned partitions: committed records in order, from positions that the caller keeps.

Reads one topic; keeps no position beyond what was handed out; writes group offsets, for lag tooling alone (or has them
moved by a transaction of its caller's). It is no member of any group: nobody rebalances it, and two readers do not know
of each other.
"""

import logging
import time
from collections.abc import Collection, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.exactly_once.membership import COMMITTED_DEADLINE_S, once_coordinated
from runtime.kafka_client import ANSWER_TIMEOUT_MS, AccessRefused, Brokers, is_refusal
from runtime.kafka_login import refuse_wrong_login

log = logging.getLogger("millrace.kafka")

METADATA_DEADLINE_S = 30


class PositionLost(Exception):
    """The log no longer holds, or never held, the offset that the caller wants to go on from."""


class AssignedReader:
    """`group` only names where `commit` leaves the positions."""

    def __init__(self, brokers: Brokers, topic: str, group: str) -> None:
        self._paused: set[int] = set()
        self._brokers = brokers
        self._topic = topic
        self._consumer = Consumer(
            {
                **brokers.configuration(),
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                # A broker that restarts is retried for ever; 100 ms to 1 s apart, so that it is found again soon.
                "reconnect.backoff.ms": 100,
                "reconnect.backoff.max.ms": 1_000,
                "socket.timeout.ms": ANSWER_TIMEOUT_MS,
                "fetch.wait.max.ms": 500,
                # The default of a second would stall every other partition when one has filled the queue.
                "fetch.queue.backoff.ms": 5,
                "queued.max.messages.kbytes": 32_768,
            },
            logger=log,
        )

    def partition_count(self) -> int:
        """Partitions of the topic. Raises TimeoutError where it does not exist in time, AccessRefused."""
        refuse_wrong_login(self._brokers)
        give_up_at = time.monotonic() + METADATA_DEADLINE_S
        reason = "no such topic"
        while time.monotonic() < give_up_at:
            try:
                found = self._consumer.list_topics(self._topic, timeout=5).topics[self._topic]
                if found.error is None and found.partitions:
                    return len(found.partitions)
                if found.error is not None:
                    self._refuse_unauthorized(found.error)
            except KafkaException as error:
                reason = str(error.args[0])
            time.sleep(0.25)
        raise TimeoutError(f"{self._topic} did not answer for {METADATA_DEADLINE_S} s: {reason}")

    def first_offset(self, partition: int) -> int:
        """The oldest offset that the topic still holds. Raises KafkaException."""
        low, _ = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), METADATA_DEADLINE_S)
        return int(low)

    def start(self, next_offsets: Mapping[int, int]) -> None:
        """Go on from these offsets, whatever was read before."""
        self._consumer.assign([TopicPartition(self._topic, shard, at) for shard, at in next_offsets.items()])

    def next_record(self, timeout_s: float) -> Message | None:
        """The next record of any partition, or None where none came in time. Raises PositionLost, AccessRefused,
        KafkaException.
        """
        record: Message | None = self._consumer.poll(timeout_s)
        if record is None:
            return None
        error = record.error()
        if error is None:
            return record
        self._refuse(error)
        return None

    def _refuse_unauthorized(self, error: KafkaError) -> None:
        if is_refusal(error):
            raise AccessRefused(self._brokers.explained(error, f"read {self._topic}"))

    def _refuse(self, error: KafkaError) -> None:
        self._refuse_unauthorized(error)
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise PositionLost(error.str())
        if error.fatal() or not (error.retriable() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART):
            raise KafkaException(error)
        log.warning("kafka: %s", error.str())

    def records_behind(self, next_offsets: Mapping[int, int]) -> int:
        """Offsets between these positions and the last known ends of the log (transaction markers count)."""
        return sum(max(0, self._end(shard) - at) for shard, at in next_offsets.items())

    def _end(self, shard: int) -> int:
        known = self._consumer.get_watermark_offsets(TopicPartition(self._topic, shard), cached=True)
        return known[1] if known is not None else 0

    def commit(self, next_offsets: Mapping[int, int]) -> None:
        """Leave positions where lag tooling looks for them. Does not wait and may get lost: nothing rests on it."""
        self._consumer.commit(
            offsets=[TopicPartition(self._topic, shard, at) for shard, at in next_offsets.items()], asynchronous=True
        )

    def committed(self, partitions: Collection[int]) -> dict[int, TopicPartition]:
        """The positions of the group with their metadata, as far as it has any, once the transactions that move them
        are decided. Raises KafkaException.
        """
        asked = [TopicPartition(self._topic, partition) for partition in partitions]
        found = once_coordinated(lambda left_s: self._consumer.committed(asked, left_s), COMMITTED_DEADLINE_S)
        for one in found:
            if one.error:
                raise KafkaException(one.error)
        return {one.partition: one for one in found if one.offset >= 0}

    def group_metadata(self) -> bytes:
        """For positions that move in a transaction. Names no member: the transactional id alone fences them."""
        metadata: bytes = self._consumer.consumer_group_metadata()
        return metadata

    def pause(self, partitions: Collection[int]) -> None:
        """Read nothing more of these, and of all others."""
        wanted = set(partitions)
        self._consumer.pause([TopicPartition(self._topic, each) for each in wanted - self._paused])
        self._consumer.resume([TopicPartition(self._topic, each) for each in self._paused - wanted])
        self._paused = wanted

    def close(self) -> None:
        self._consumer.close()
