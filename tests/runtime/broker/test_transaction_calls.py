"""Goal: half a picture is never taken for a whole one, and a marker names exactly the transaction it ends."""

import struct
from collections.abc import Sequence
from typing import Any

import pytest

from runtime.exactly_once.broker import broker_version, wire
from runtime.exactly_once.broker.transaction_admin import (
    Cluster,
    IncompleteView,
    OpenProducer,
    Transaction,
    describe_producers,
    open_producers,
    transaction,
    transactions,
    write_marker,
)
from runtime.kafka_client import AccessRefused, Brokers
from runtime.kafka_login import addresses
from tests.runtime.broker.scripted_broker import ScriptedBroker

NO_TAGS = b"\0"
THROTTLE = wire.int32(0)
OPENED = OpenProducer(("ledger", 3), 77, 5, 1_000, 2, 40)


def producers_of(partitions: Sequence[tuple[int, int, Sequence[OpenProducer]]], message: bytes = b"\0") -> bytes:
    """DescribeProducers v0 over one topic; (partition, error, producers)."""

    def one(producer: OpenProducer) -> bytes:
        _, producer_id, epoch, timestamp, coordinator_epoch, start = producer
        return struct.pack(">qiiqiq", producer_id, epoch, 9, timestamp, coordinator_epoch, start) + NO_TAGS

    def partition(answer: tuple[int, int, Sequence[OpenProducer]]) -> bytes:
        number, error, producers = answer
        return struct.pack(">ih", number, error) + message + wire.array(producers, one) + NO_TAGS

    topic = wire.text("ledger") + wire.array(partitions, partition) + NO_TAGS
    return NO_TAGS + THROTTLE + wire.array([topic], bytes) + NO_TAGS


def named(*names: str, error: int = 0) -> bytes:
    """ListTransactions v0."""

    def one(name: str) -> bytes:
        return wire.text(name) + struct.pack(">q", 77) + wire.text("Ongoing") + NO_TAGS

    return NO_TAGS + THROTTLE + struct.pack(">h", error) + b"\1" + wire.array(names, one) + NO_TAGS


def described(*entries: tuple[int, Transaction]) -> bytes:
    """DescribeTransactions v0."""

    def topic(pair: tuple[str, list[int]]) -> bytes:
        return wire.text(pair[0]) + wire.array(pair[1], wire.int32) + NO_TAGS

    def one(entry: tuple[int, Transaction]) -> bytes:
        error, (name, state, timeout_ms, producer_id, epoch, partitions) = entry
        by_topic: dict[str, list[int]] = {}
        for name_of_topic, number in sorted(partitions):
            by_topic.setdefault(name_of_topic, []).append(number)
        fields = struct.pack(">iqqh", timeout_ms, 1_700, producer_id, epoch)
        head = struct.pack(">h", error) + wire.text(name) + wire.text(state)
        return head + fields + wire.array(by_topic.items(), topic) + NO_TAGS

    return NO_TAGS + THROTTLE + wire.array(entries, one) + NO_TAGS


def marked(*errors: int) -> bytes:
    """WriteTxnMarkers v1."""

    def one(error: int) -> bytes:
        return struct.pack(">ih", 3, error) + NO_TAGS

    topic = wire.text("ledger") + wire.array(errors, one) + NO_TAGS
    marker = struct.pack(">q", 77) + wire.array([topic], bytes) + NO_TAGS
    return NO_TAGS + wire.array([marker], bytes) + NO_TAGS


ONGOING = Transaction("sink.0", "Ongoing", 10_000, 77, 5, frozenset({("ledger", 3), ("ledger", 1), ("returns", 0)}))
EMPTY = Transaction("sink.1", "Empty", 10_000, 78, 0, frozenset())


def one_broker(broker: ScriptedBroker) -> Cluster:
    return Cluster({0: broker.address}, {("ledger", 3): 0})


def test_every_field_of_an_open_producer_is_read() -> None:
    idle = OPENED._replace(producer_id=78, start_offset=-1)
    with ScriptedBroker(producers_of([(3, 0, [OPENED, idle]), (4, 0, [])])) as broker:
        found = describe_producers(broker.address, [("ledger", 3), ("ledger", 4)])
    assert found == [OPENED, idle]
    [request] = broker.requests
    assert (request.api_key, request.body) == (61, wire.partitions({"ledger": [3, 4]}) + NO_TAGS)


def test_a_producer_without_an_open_transaction_is_none_of_them() -> None:
    idle = OPENED._replace(producer_id=78, start_offset=-1)
    with ScriptedBroker(producers_of([(3, 0, [idle, OPENED])])) as broker:
        assert open_producers(one_broker(broker)) == [OPENED]


def test_a_transaction_that_began_at_the_first_offset_is_open() -> None:
    first = OPENED._replace(start_offset=0)
    with ScriptedBroker(producers_of([(3, 0, [first])])) as broker:
        assert open_producers(one_broker(broker)) == [first]


def test_each_leader_is_asked_for_its_own_partitions_alone() -> None:
    with ScriptedBroker(producers_of([(0, 0, [])])) as one, ScriptedBroker(producers_of([(1, 0, [])])) as other:
        leaders = {("ledger", 0): 7, ("ledger", 1): 9, ("returns", 0): 7}
        assert open_producers(Cluster({7: one.address, 9: other.address}, leaders)) == []
    assert one.requests[0].body == wire.partitions({"ledger": [0], "returns": [0]}) + NO_TAGS
    assert other.requests[0].body == wire.partitions({"ledger": [1]}) + NO_TAGS


@pytest.mark.parametrize(("message", "says"), [(wire.text("moved"), "error 6 moved"), (b"\0", "error 6 ")])
def test_one_partition_that_is_not_answered_makes_the_view_incomplete(message: bytes, says: str) -> None:
    answer = producers_of([(3, 0, [OPENED]), (4, 6, [])], message)
    with ScriptedBroker(answer) as broker, pytest.raises(IncompleteView, match=rf"ledger\[4\]: {says}"):
        describe_producers(broker.address, [("ledger", 3), ("ledger", 4)])


def test_transactions_are_collected_from_every_coordinator() -> None:
    with (
        ScriptedBroker(named("sink.0"), described((0, ONGOING))) as one,
        ScriptedBroker(named("sink.1"), described((0, EMPTY))) as other,
    ):
        assert transactions(Cluster({0: one.address, 1: other.address}, {})) == [ONGOING, EMPTY]
    assert one.requests[1].body == wire.array(["sink.0"], wire.text) + NO_TAGS


def test_a_coordinator_without_transactions_is_not_asked_to_describe_any() -> None:
    with ScriptedBroker(named()) as broker:
        assert transactions(one_broker(broker)) == []
    assert [request.api_key for request in broker.requests] == [66]


def test_a_coordinator_that_cannot_list_leaves_no_shorter_answer() -> None:
    with ScriptedBroker(named(error=14)) as broker, pytest.raises(IncompleteView, match=r"ListTransactions .* 14"):
        transactions(one_broker(broker))


@pytest.mark.parametrize("error", [14, 15, 16, 105])
def test_an_id_that_moved_is_looked_for_at_the_other_brokers(error: int) -> None:
    with ScriptedBroker(described((error, EMPTY))) as one, ScriptedBroker(described((0, ONGOING))) as other:
        assert transaction(Cluster({0: one.address, 1: other.address}, {}), "sink.0") == ONGOING


def test_an_id_that_nobody_coordinates_is_no_empty_transaction() -> None:
    """`Empty` would open the start gate."""
    with ScriptedBroker(described((16, EMPTY))) as broker, pytest.raises(IncompleteView, match=r"coordinates sink\.0"):
        transaction(one_broker(broker), "sink.0")


def test_an_error_that_is_no_move_is_said() -> None:
    with ScriptedBroker(described((41, ONGOING))) as broker, pytest.raises(IncompleteView, match=r"sink\.0: error 41"):
        transaction(one_broker(broker), "sink.0")


def test_a_transactional_id_that_we_may_not_see_is_no_answer_to_wait_for() -> None:
    with (
        ScriptedBroker(described((53, ONGOING))) as broker,
        pytest.raises(AccessRefused, match=r"not see .*sink\.0"),
    ):
        transaction(one_broker(broker), "sink.0")


@pytest.mark.parametrize("commit", [True, False])
def test_a_marker_goes_to_the_leader_with_the_decided_epoch(commit: bool) -> None:
    with ScriptedBroker(marked(0)) as broker:
        write_marker(one_broker(broker), OPENED, 6, commit=commit)
    [request] = broker.requests
    assert (request.api_key, request.version) == (27, 1)
    marker = struct.pack(">qhb", 77, 6, commit) + wire.partitions({"ledger": [3]}) + wire.int32(2) + NO_TAGS
    assert request.body == b"\2" + marker + NO_TAGS


def test_an_unknown_coordinator_epoch_is_sent_as_the_first_one() -> None:
    """The broker reports -1 before any marker; it refuses a marker that carries it."""
    with ScriptedBroker(marked(0)) as broker:
        write_marker(one_broker(broker), OPENED._replace(coordinator_epoch=-1), 6, commit=True)
    assert broker.requests[0].body[-6:] == wire.int32(0) + NO_TAGS + NO_TAGS


def test_a_refused_marker_is_an_error() -> None:
    with ScriptedBroker(marked(0, 47)) as broker, pytest.raises(RuntimeError, match=r"ledger.*3.*refused.*47"):
        write_marker(one_broker(broker), OPENED, 6, commit=True)


def versions(*features: tuple[str, int], error: int = 0) -> bytes:
    """ApiVersions v3 (its response header has no tags)."""
    keys = wire.array([18, 61], lambda key: struct.pack(">hhh", key, 0, 4) + NO_TAGS)

    def feature(supported: tuple[str, int]) -> bytes:
        return wire.text(supported[0]) + struct.pack(">hh", 0, supported[1]) + NO_TAGS

    listed = wire.array(features, feature)
    tagged = b"\1" + b"\0" + wire.varint(len(listed)) + listed if features else NO_TAGS
    return struct.pack(">h", error) + keys + THROTTLE + tagged


def test_the_metadata_version_is_found_among_other_features() -> None:
    with ScriptedBroker(versions(("group.version", 1), ("metadata.version", 29), ("kraft.version", 1))) as broker:
        assert broker_version.metadata_level(Brokers(broker.bootstrap)) == 29


def test_a_broker_that_is_down_is_passed_over_for_the_next_one() -> None:
    with ScriptedBroker() as gone:
        pass
    with ScriptedBroker(versions(("metadata.version", 25))) as broker:
        assert broker_version.metadata_level(Brokers(f"{gone.bootstrap}, {broker.bootstrap}")) == 25


def test_a_broker_of_the_zookeeper_days_is_refused_and_not_waited_for() -> None:
    with ScriptedBroker(versions(error=35)) as broker, pytest.raises(RuntimeError, match=r"error 35.*Kafka 4 in KRaft"):
        broker_version.refuse_broken_broker(Brokers(broker.bootstrap), accept=False)


@pytest.mark.parametrize(
    ("bootstrap", "expected"),
    [
        ("host:9092", [("host", 9092)]),
        ("one:1,two:2", [("one", 1), ("two", 2)]),
        (" one:1 , two:2 ", [("one", 1), ("two", 2)]),
        ("[::1]:9092", [("::1", 9092)]),
    ],
)
def test_addresses_are_split_as_the_client_splits_them(bootstrap: str, expected: list[Any]) -> None:
    assert addresses(bootstrap) == expected


@pytest.mark.parametrize("level", [29, 31])
def test_only_the_broken_line_is_refused(monkeypatch: pytest.MonkeyPatch, level: int) -> None:
    monkeypatch.setattr(broker_version, "metadata_level", lambda _: level)
    broker_version.refuse_broken_broker(Brokers("host:1"), accept=False)
