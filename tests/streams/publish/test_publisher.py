"""Goal: each change is told exactly once and in order, whatever dies.

Method: a real broker; a ledger in which everything happens; the publisher is a process that is killed at every step.
What a reader of committed records sees is compared with what the ledger says.
"""

import subprocess
from types import SimpleNamespace
from typing import Any

import pytest
from cloudevents.kafka import KafkaMessage, from_binary

from runtime.exactly_once.failpoints import CYCLE_NAMES, Failpoints
from schemas.events.codec import decode_event
from schemas.partitioning import shard_of
from streams.publish.loop import Publisher, Route
from tests.sinks.every_kind import SHARDS
from tests.streams.publish.publisher_process import SOURCE
from tests.streams.publish.script import expected, ledger, out_of_order
from tests.streams.publish.world import World
from tests.support.waiting import eventually

KILLED, EXIT_CRASHED, EXIT_INVARIANT = -9, 75, 70


def assert_each_once_and_in_order(world: World) -> None:
    told = world.await_all()
    assert dict(told) == expected()
    assert len(told) == len(expected()), "an event was told twice"
    assert out_of_order(event for _, event in told) == []


def test_each_change_is_told_once_and_in_order_when_the_shards_come_one_after_the_other(world: World) -> None:
    """The last shard first: what it has received is told when those that sent it have come."""
    with world.running():
        for shard in reversed(range(SHARDS)):
            world.write(shard)
        assert_each_once_and_in_order(world)


@pytest.mark.parametrize("step", CYCLE_NAMES)
def test_a_kill_at_any_step_neither_loses_nor_repeats_an_event(world: World, step: str) -> None:
    half = {shard: len(ledger()[shard]) // 2 for shard in range(SHARDS)}
    for shard in range(SHARDS):
        world.write(shard, until=half[shard])
    process = world.start(f"{step}:{40 if step == 'while_deciding' else 1}")
    assert process.wait(60) == KILLED
    for shard in range(SHARDS):
        world.write(shard, first=half[shard])
    with world.running():
        assert_each_once_and_in_order(world)


def test_a_record_that_the_client_delivers_again_is_passed_over() -> None:
    """It looked like a ledger with a sequence number twice, and ended the process."""
    first, second = (
        SimpleNamespace(topic=lambda: "ledger", partition=lambda: 0, offset=lambda at=at: at, value=lambda of=value: of)
        for at, value in enumerate(ledger()[0][:2])
    )
    delivered: list[Any] = [first, second, first, second]
    reader: Any = SimpleNamespace(next_record=lambda _: delivered.pop(0), pause=lambda _: None)
    producer: Any = SimpleNamespace(open=lambda: None, close=lambda: None, produce=lambda *_, **__: None)
    publisher = Publisher(reader, producer, SHARDS, Route("test"), Failpoints(""))
    for _ in range(4):
        publisher.turn()
    assert delivered == []
    assert publisher._read_up_to == {0: 2}


def test_a_new_process_does_not_wait_for_what_the_one_before_has_told(world: World) -> None:
    half = len(ledger()[2]) // 2
    world.write(0)
    world.write(1)
    world.write(2, until=half)
    with world.running():
        eventually(world.records, "events of the first process")
    world.write(2, first=half)
    with world.running():
        assert_each_once_and_in_order(world)


def test_of_two_publishers_the_older_one_ends_and_nothing_is_told_twice(world: World) -> None:
    older = world.start()
    world.write(0)
    eventually(world.records, "events of the older one")
    with world.running() as newer:
        assert newer.stderr is not None
        assert "publishing from" in newer.stderr.readline()
        world.write(1)
        world.write(2)
        assert_each_once_and_in_order(world)
        assert older.wait(60) == EXIT_CRASHED


def test_a_record_that_the_agents_never_wrote_stops_it(world: World) -> None:
    process = world.start()
    world.ledger.publish_value(0, b"no record")
    assert process.wait(60) == EXIT_INVARIANT
    assert "no Confluent frame" in said_by(process)
    assert world.records() == []


def said_by(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.read()


def test_an_event_is_a_cloud_event_to_anybody(world: World) -> None:
    """Read with the SDK of CloudEvents, which knows nothing of Millrace."""
    with world.running():
        for shard in range(SHARDS):
            world.write(shard)
        world.await_all()
    for record in world.records():
        headers = dict(record.headers() or [])
        message = KafkaMessage(headers=headers, key=record.key(), value=record.value())
        cloud_event = from_binary(message, data_unmarshaller=lambda value: value)
        event_id, event = decode_event(record.value() or b"")
        assert (cloud_event["id"], cloud_event["source"]) == (event_id, SOURCE)
        assert (cloud_event["type"], cloud_event["subject"]) == (event.type.value, event.subject)
        assert cloud_event["datacontenttype"] == "application/vnd.confluent.avro"
        assert (record.key() or b"").decode() == event.subject
        assert record.partition() == shard_of(record.key() or b"", SHARDS)
