"""Goal: a reader goes on from the positions it was given, tells a lost position from a broker that is away, and never
skips.

Method: the reader over a consumer whose answers are written down.
"""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from runtime import kafka_reader as under_test
from runtime.kafka_client import Brokers
from runtime.kafka_reader import METADATA_DEADLINE_S, AssignedReader, PositionLost


class Record:
    """A record, or an error in its place."""

    def __init__(self, error: KafkaError | None = None) -> None:
        self._error = error

    def error(self) -> KafkaError | None:
        return self._error


class Consumer:
    """What the client answers, and what it was told."""

    def __init__(self) -> None:
        self.configuration: dict[str, Any] = {}
        self.records: list[Record | None] = []
        self.metadata: list[Any] = []
        self.assigned: list[TopicPartition] = []
        self.committed: list[tuple[list[TopicPartition], bool]] = []
        self.marks: dict[int, tuple[int, int] | None] = {}
        self.closed = False

    def configured(self, configuration: dict[str, Any], **_: Any) -> "Consumer":
        self.configuration = configuration
        return self

    def poll(self, timeout_s: float) -> Record | None:
        return self.records.pop(0) if self.records else None

    def list_topics(self, topic: str, timeout: float) -> Any:
        answer = self.metadata.pop(0) if len(self.metadata) > 1 else self.metadata[0]
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(topics={topic: answer})

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self.committed.append((offsets, asynchronous))

    def get_watermark_offsets(self, partition: TopicPartition, *_: Any, **__: Any) -> tuple[int, int] | None:
        return self.marks[partition.partition]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    made = Consumer()
    monkeypatch.setattr(under_test, "Consumer", made.configured)
    return made


@pytest.fixture
def reader(client: Consumer) -> AssignedReader:
    return AssignedReader(Brokers("broker:9092"), "ledger", "sink")


def places(partitions: list[TopicPartition]) -> list[tuple[str, int, int]]:
    return [(one.topic, one.partition, one.offset) for one in partitions]


def topic(partitions: int, error: int | None = None) -> Any:
    fault = KafkaError(error) if error is not None else None
    return SimpleNamespace(error=fault, partitions=dict.fromkeys(range(partitions)))


def test_uncommitted_records_are_never_read_and_positions_never_made_up(
    reader: AssignedReader, client: Consumer
) -> None:
    """The rows of an aborted record would stay; a reset would skip or repeat."""
    assert client.configuration["isolation.level"] == "read_committed"
    assert client.configuration["auto.offset.reset"] == "error"
    assert client.configuration["enable.auto.commit"] is False


def test_reading_goes_on_from_the_positions_of_the_caller(reader: AssignedReader, client: Consumer) -> None:
    reader.start({0: 17, 3: 0})
    assert places(client.assigned) == [("ledger", 0, 17), ("ledger", 3, 0)]
    reader.start({1: 5})
    assert places(client.assigned) == [("ledger", 1, 5)], "whatever was read before"


def test_a_record_is_handed_on_as_it_came(reader: AssignedReader, client: Consumer) -> None:
    record = Record()
    client.records = [record, None]
    assert reader.next_record(0.1) is record
    assert reader.next_record(0.1) is None


LOST = [KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE]
PASSING = [
    KafkaError(KafkaError._TIMED_OUT, "timed out", False, True),
    KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION, "moving", False, True),
    KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "not there yet"),
]
LASTING = [
    KafkaError(KafkaError._FATAL, "fatal", True),
    KafkaError(KafkaError._BAD_MSG, "bad"),
    KafkaError(KafkaError._TIMED_OUT, "fatal and retriable", True, True),
]


@pytest.mark.parametrize("code", LOST)
def test_a_position_that_the_log_does_not_hold_is_lost(reader: AssignedReader, client: Consumer, code: int) -> None:
    client.records = [Record(KafkaError(code, "offset 7 of ledger[0]"))]
    with pytest.raises(PositionLost, match="offset 7"):
        reader.next_record(0.1)


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_a_broker_that_is_away_is_said_and_waited_for(
    reader: AssignedReader, client: Consumer, caplog: pytest.LogCaptureFixture, error: KafkaError
) -> None:
    client.records = [Record(error), Record()]
    with caplog.at_level(logging.WARNING):
        assert reader.next_record(0.1) is None
    assert error.str() in caplog.text
    assert reader.next_record(0.1) is not None


@pytest.mark.parametrize("error", LASTING, ids=str)
def test_an_error_that_stays_is_raised(reader: AssignedReader, client: Consumer, error: KafkaError) -> None:
    client.records = [Record(error)]
    with pytest.raises(KafkaException):
        reader.next_record(0.1)


def test_how_far_behind_is_counted_per_partition_and_never_negative(reader: AssignedReader, client: Consumer) -> None:
    client.marks = {0: (0, 100), 1: (0, 10), 2: None}
    assert reader.records_behind({0: 40, 1: 12, 2: 5}) == 60
    assert reader.records_behind({}) == 0


def test_positions_are_left_for_lag_tooling_without_waiting(reader: AssignedReader, client: Consumer) -> None:
    reader.commit({0: 4, 1: 9})
    [(offsets, asynchronous)] = client.committed
    assert places(offsets) == [("ledger", 0, 4), ("ledger", 1, 9)]
    assert asynchronous, "nothing rests on it, so nothing waits for it"


def test_the_first_offset_is_the_oldest_still_kept(reader: AssignedReader, client: Consumer) -> None:
    client.marks = {2: (7, 9)}
    assert reader.first_offset(2) == 7


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that moves only when somebody sleeps."""
    now_s = [0.0]

    def sleep(seconds: float) -> None:
        now_s[0] += seconds

    monkeypatch.setattr(under_test, "time", SimpleNamespace(monotonic=lambda: now_s[0], sleep=sleep))
    return now_s


def test_a_topic_that_is_made_a_moment_later_is_waited_for(
    reader: AssignedReader, client: Consumer, passing: list[float]
) -> None:
    away = KafkaException(KafkaError(KafkaError._TRANSPORT))
    client.metadata = [away, topic(0, KafkaError.UNKNOWN_TOPIC_OR_PART), topic(0), topic(6)]
    assert reader.partition_count() == 6
    assert passing[0] < 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (topic(0, KafkaError.UNKNOWN_TOPIC_OR_PART), "no such topic"),
        (KafkaException(KafkaError(KafkaError._TRANSPORT, "all brokers are down")), "all brokers are down"),
    ],
    ids=["no topic", "no broker"],
)
def test_a_topic_that_never_comes_is_an_error_with_the_reason(
    reader: AssignedReader, client: Consumer, passing: list[float], answer: Any, reason: str
) -> None:
    client.metadata = [answer]
    with pytest.raises(TimeoutError, match=f"ledger did not answer for {METADATA_DEADLINE_S} s: .*{reason}"):
        reader.partition_count()
    assert METADATA_DEADLINE_S <= passing[0] < METADATA_DEADLINE_S + 1


def test_a_closed_reader_leaves_no_connection(reader: AssignedReader, client: Consumer) -> None:
    reader.close()
    assert client.closed
