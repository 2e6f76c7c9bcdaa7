"""Goal: every byte handed to Kafka is counted back once, and a request ends with its positions or as unknown."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ingest_api.publisher import Acknowledgement, DeliveryUnknown, Publisher, QueueFull, Record
from payments.errors import Unavailable
from runtime.settings import Settings
from schemas.topics import COMMANDS

SETTINGS = Settings(shards=4)
TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)


class ScriptedProducer:
    """Takes records up to a number, and reports on them when the test says so."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration
        self.takes = 10**6
        self.partitions = SETTINGS.shards
        self.topic_error: KafkaError | None = None
        self.taken: list[tuple[Record, Callable[..., None]]] = []
        self._ends: dict[int, int] = {}
        self._polled = threading.Event()

    def produce(self, topic: str, *, value: bytes, key: bytes, partition: int, headers: Any, on_delivery: Any) -> None:
        assert topic == COMMANDS.name
        if len(self.taken) >= self.takes:
            raise BufferError("the queue is full")
        self.taken.append((Record(partition, key, value), on_delivery))

    def poll(self, timeout_s: float) -> int:
        self._polled.wait(timeout_s)
        return 0

    def deliver(self, error: KafkaError | None = None, count: int | None = None) -> None:
        """Report on the oldest records."""
        for _ in range(len(self.taken) if count is None else count):
            record, report = self.taken.pop(0)
            offset = self._ends[record.partition] = self._ends.get(record.partition, -1) + 1
            where = (None, None) if error else (record.partition, offset)
            report(error, SimpleNamespace(partition=lambda at=where[0]: at, offset=lambda at=where[1]: at))

    def flush(self, timeout_s: float) -> int:
        self._polled.set()
        self.deliver()
        return 0

    def list_topics(self, topic: str, timeout: float) -> Any:
        found = SimpleNamespace(partitions=dict.fromkeys(range(self.partitions)), error=self.topic_error)
        return SimpleNamespace(topics={topic: found})


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedProducer]:
    """The producers that publishers of this test make."""
    made: list[ScriptedProducer] = []

    def make(configuration: dict[str, Any]) -> ScriptedProducer:
        made.append(ScriptedProducer(configuration))
        return made[-1]

    monkeypatch.setattr("ingest_api.publisher.Producer", make)
    return made


async def started() -> Publisher:
    publisher = Publisher(SETTINGS)
    await publisher.start()
    return publisher


def records(*partitions: int, size: int = 100) -> list[Record]:
    return [Record(partition, b"k" * 16, b"v" * size) for partition in partitions]


async def test_positions_are_the_last_of_the_request_and_all_bytes_come_back(producers: list[ScriptedProducer]) -> None:
    publisher = await started()
    first = publisher.send(records(0, 1, 0), [])
    second = publisher.send(records(1, 1), [])
    assert publisher.pending_bytes == first.bytes + second.bytes > 500
    await publisher.stop()
    assert await first.wait() == {0: 1, 1: 0}
    assert await second.wait() == {1: 2}
    assert publisher.pending_bytes == 0


async def test_one_failed_record_makes_the_whole_request_unknown(producers: list[ScriptedProducer]) -> None:
    publisher = await started()
    acknowledgement = publisher.send(records(0, 1, 2), [])
    producers[0].deliver(count=1)
    producers[0].deliver(TIMED_OUT, count=1)
    await publisher.stop()
    with pytest.raises(DeliveryUnknown, match="timed out"):
        await acknowledgement.wait()
    assert publisher.pending_bytes == 0


async def test_a_request_of_which_nothing_was_taken_is_refused_and_costs_nothing(
    producers: list[ScriptedProducer],
) -> None:
    publisher = await started()
    producers[0].takes = 0
    with pytest.raises(QueueFull, match="full"):
        publisher.send(records(0, 1), [])
    assert publisher.pending_bytes == 0
    producers[0].takes = 1
    again = publisher.send(records(0), [])
    await publisher.stop()
    assert await again.wait() == {0: 0}


async def test_a_request_that_was_taken_in_part_is_unknown_and_not_refused(producers: list[ScriptedProducer]) -> None:
    """Part of it may be in the log: QueueFull would promise that nothing is."""
    publisher = await started()
    producers[0].takes = 2
    acknowledgement = publisher.send(records(0, 0, 0), [])
    assert publisher.pending_bytes == acknowledgement.bytes
    await publisher.stop()
    with pytest.raises(DeliveryUnknown):
        await acknowledgement.wait()
    assert publisher.pending_bytes == 0


async def test_the_bound_holds_for_what_waits_and_what_comes_together(producers: list[ScriptedProducer]) -> None:
    publisher = await started()
    half = records(0, size=SETTINGS.api_queue_bytes // 2)
    publisher.send(half, [])
    waiting = publisher.pending_bytes
    with pytest.raises(QueueFull, match=f"{waiting} bytes wait"):
        publisher.send(half, [])
    assert publisher.pending_bytes == waiting
    assert len(producers[0].taken) == 1, "nothing of a refused request is handed over"
    await publisher.stop()


async def test_empty_records_count_too(producers: list[ScriptedProducer]) -> None:
    """A queue of records without a value is memory as well."""
    publisher = await started()
    publisher.send(records(*[0] * 10, size=0), [])
    assert publisher.pending_bytes >= 10 * 100
    await publisher.stop()


async def test_after_a_fatal_error_nothing_is_taken_and_the_process_is_not_ready(
    producers: list[ScriptedProducer],
) -> None:
    publisher = await started()
    report = producers[0].configuration["error_cb"]
    report(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert await publisher.reachable()
    report(KafkaError(KafkaError._FATAL, "fenced", fatal=True))
    assert not await publisher.reachable()
    with pytest.raises(QueueFull, match="for good"):
        publisher.send(records(0), [])
    assert publisher.pending_bytes == 0
    await publisher.stop()


async def test_another_number_of_partitions_names_the_setting(
    producers: list[ScriptedProducer],
) -> None:
    publisher = Publisher(SETTINGS)
    producers[0].partitions = 3
    with pytest.raises(Unavailable, match="has 3 partitions but MILLRACE_SHARDS is 4"):
        await publisher.start()


async def test_a_topic_that_is_not_ours_to_write_is_no_topic_to_wait_for(producers: list[ScriptedProducer]) -> None:
    publisher = Publisher(SETTINGS)
    producers[0].topic_error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(Unavailable, match=rf"may not write {COMMANDS.name}"):
        await publisher.start()
    assert not await publisher.reachable()


def test_a_right_that_was_lost_is_said_once(
    producers: list[ScriptedProducer], caplog: pytest.LogCaptureFixture
) -> None:
    publisher, denied = Publisher(SETTINGS), KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    for error in (denied, denied, None, denied):
        publisher._tell_refusal(error)
    assert [f"may not write {COMMANDS.name}" in record.message for record in caplog.records] == [True, True]


def test_the_producer_waits_for_all_replicas_and_repeats_nothing(producers: list[ScriptedProducer]) -> None:
    Publisher(SETTINGS)
    configuration = producers[0].configuration
    assert (configuration["acks"], configuration["enable.idempotence"]) == ("all", True)
    assert configuration["delivery.timeout.ms"] == SETTINGS.api_delivery_timeout_ms
    assert configuration["queue.buffering.max.kbytes"] * 1024 > SETTINGS.api_queue_bytes


@hypothesis_settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.booleans()), min_size=1, max_size=20), st.randoms())
def test_an_acknowledgement_ends_with_its_last_report_in_any_order(
    reports: Sequence[tuple[int, int, bool]], random: Any
) -> None:
    async def settled() -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        made = records(*(partition for partition, _, _ in reports))
        acknowledgement = Acknowledgement(made, deque(), done)
        shuffled = random.sample(reports, len(reports))
        ends = [acknowledgement.settle(None if ok else TIMED_OUT, at, offset) for at, offset, ok in shuffled]
        assert ends == [False] * (len(reports) - 1) + [True]
        if all(ok for _, _, ok in reports):
            last = {at: max(offset for shard, offset, _ in reports if shard == at) for at, _, _ in reports}
            assert await acknowledgement.wait() == last
        else:
            with pytest.raises(DeliveryUnknown):
                await acknowledgement.wait()

    asyncio.run(settled())
