"""Transactions that nothing will ever end, and how to end them as their coordinator decided.

Kafka 4.3.0 and 4.3.1 can drop a commit marker (KAFKA-20734); the partition's last stable offset then stands still for
ever, and a blind abort would delete committed records. Reads brokers; writes markers only in `finish_as_decided`.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from runtime.exactly_once.broker.transaction_admin import (
    Cluster,
    OpenProducer,
    Partition,
    Transaction,
    cluster,
    open_producers,
    transactions,
    write_marker,
)
from runtime.exactly_once.broker.transaction_log import TransactionLog, TransactionState, read_transaction_log
from runtime.kafka_client import Brokers

STILL_DECIDED_BY_COORDINATOR = frozenset({"Ongoing", "PrepareCommit", "PrepareAbort"})

AGE_IN_TRANSACTION_TIMEOUTS = 3
"""The coordinator aborts after one timeout, looks every 10 s, and retries markers while a leader is elected."""

STALL_IN_TRANSACTION_TIMEOUTS = 2

ASK_TIMEOUT_S = 10
"""A broker answers in a millisecond; one that was killed is back in 5-10 s."""

CONFIRM_AFTER_S = 2.0
"""Between the two scans that must agree."""


class Decision(StrEnum):
    """What ends a hanging transaction on one partition."""

    COMMIT = "commit"
    ABORT = "abort"
    REFUSED = "refused"
    """No decision is on record: an operator has to look."""


class Verdict(NamedTuple):
    """A transaction open on one partition, with the decision and the epoch its marker needs."""

    open: OpenProducer
    decision: Decision
    marker_epoch: int


class StalledPartition(NamedTuple):
    """A partition whose last stable offset has not moved although records lie behind it."""

    partition: Partition
    stable_offset: int
    end_offset: int
    stalled_s: float


def find_hanging(
    brokers: Brokers, transaction_timeout_ms: int, confirm_after_s: float = CONFIRM_AFTER_S
) -> list[OpenProducer]:
    """Open on the partition, not under way at any coordinator, old enough, and unchanged between two scans.

    Raises IncompleteView when a broker or a leader is missing: no verdict then.
    """
    age_ms = AGE_IN_TRANSACTION_TIMEOUTS * transaction_timeout_ms
    first = scan_hanging(brokers, age_ms)
    if not first:
        return []
    time.sleep(confirm_after_s)
    second = set(scan_hanging(brokers, age_ms))
    return [producer for producer in first if producer in second]


def scan_hanging(brokers: Brokers, age_ms: int) -> list[OpenProducer]:
    """One look. The partitions come first and the coordinators after, so one begun in between is no suspect."""
    view = cluster(brokers)
    producers = open_producers(view)
    known = {entry.producer_id: entry for entry in transactions(view)}
    now_ms = time.time() * 1000
    return [
        producer
        for producer in producers
        if now_ms - producer.last_timestamp_ms > age_ms and not _under_way(producer, known.get(producer.producer_id))
    ]


def decide(log: TransactionLog, producers: Iterable[OpenProducer]) -> list[Verdict]:
    """What the coordinator decided: its last Prepare state that names the partition, at this epoch or a later one."""
    return [_decide(log, producer) for producer in producers]


def finish_as_decided(brokers: Brokers, producers: Sequence[OpenProducer]) -> list[Verdict]:
    """Write the marker that the coordinator decided and never wrote. Refused ones are returned untouched.

    Safe only for what `find_hanging` returned, or at the start gate, before the same producer id writes again.
    """
    if not producers:
        return []
    verdicts = decide(read_transaction_log(brokers), producers)
    view = cluster(brokers)
    for verdict in verdicts:
        _finish(view, verdict)
    return verdicts


class StableOffsetWatch:
    """Alarm for readers that stand still: call `observe` every few seconds, on one thread."""

    def __init__(self, brokers: Brokers, partitions: Collection[Partition], transaction_timeout_ms: int) -> None:
        self._partitions = partitions
        self._stall_s = STALL_IN_TRANSACTION_TIMEOUTS * transaction_timeout_ms / 1000
        self._behind: dict[Partition, tuple[int, float]] = {}
        configuration = {**brokers.configuration(), "group.id": "millrace.stable-offset-watch", "log_level": 2}
        self._stable: Any = Consumer({**configuration, "isolation.level": "read_committed"})
        self._end: Any = Consumer({**configuration, "isolation.level": "read_uncommitted"})

    def observe(self) -> list[StalledPartition]:
        """Partitions that have stood still for longer than two transaction timeouts. Raises KafkaException."""
        stalled = []
        for partition in self._partitions:
            asked = TopicPartition(*partition)
            stable: int = self._stable.get_watermark_offsets(asked, timeout=ASK_TIMEOUT_S)[1]
            end: int = self._end.get_watermark_offsets(asked, timeout=ASK_TIMEOUT_S)[1]
            stalled_s = self._stalled_s(partition, stable, end)
            if stalled_s > self._stall_s:
                stalled.append(StalledPartition(partition, stable, end, stalled_s))
        return stalled

    def close(self) -> None:
        self._stable.close()
        self._end.close()

    def _stalled_s(self, partition: Partition, stable: int, end: int) -> float:
        now_s = time.monotonic()
        if stable >= end:
            self._behind.pop(partition, None)
            return 0.0
        seen_offset, since_s = self._behind.get(partition, (-1, now_s))
        if seen_offset != stable:
            since_s = now_s
        self._behind[partition] = (stable, since_s)
        return now_s - since_s


def _under_way(producer: OpenProducer, known: Transaction | None) -> bool:
    return known is not None and known.state in STILL_DECIDED_BY_COORDINATOR and producer.partition in known.partitions


def _decide(log: TransactionLog, producer: OpenProducer) -> Verdict:
    named = [state for state in log.states if _names(state, producer)]
    prepared = [state for state in named if state.state in {"PrepareCommit", "PrepareAbort"}]
    if prepared:
        commit = prepared[-1].state == "PrepareCommit"
        return Verdict(producer, Decision.COMMIT if commit else Decision.ABORT, prepared[-1].epoch)
    if named or not log.whole:
        return Verdict(producer, Decision.REFUSED, producer.epoch)
    # The coordinator never had this partition in any transaction: a stray write, part of no decision (KIP-890).
    return Verdict(producer, Decision.ABORT, producer.epoch)


def _names(state: TransactionState, producer: OpenProducer) -> bool:
    return (
        state.producer_id == producer.producer_id
        and state.epoch >= producer.epoch  # a fencing abort is written under the next epoch
        and producer.partition in state.partitions
    )


def _finish(view: Cluster, verdict: Verdict) -> None:
    if verdict.decision is not Decision.REFUSED:
        write_marker(view, verdict.open, verdict.marker_epoch, commit=verdict.decision is Decision.COMMIT)
