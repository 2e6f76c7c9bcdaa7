"""Goal: a restore reads every committed record below the captured end and settles one offset, or says what is wrong.

Method: the real log and rules over a consumer whose answers are written down.
"""

import itertools
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.exactly_once import restore as under_test
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.restore import PartitionLog, RestoreConsumer, past_retention, restore_shards
from runtime.settings import Settings
from tests.exactly_once.units.scripted import CHANGELOG, Consumer, Record, Store, end_of_partition

SHARD = 3


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    """Both consumers of a restore."""
    made = Consumer()
    monkeypatch.setattr(under_test, "Consumer", lambda _: made)
    return made


@pytest.fixture
def consumer(client: Consumer) -> Iterator[RestoreConsumer]:
    with RestoreConsumer("app", Settings(transaction_timeout_ms=1_000), Failpoints("")) as made:
        yield made
    assert client.closed


def log_of(consumer: RestoreConsumer, client: Consumer, low: int, high: int) -> PartitionLog:
    client.marks[CHANGELOG, SHARD] = (low, high)
    return PartitionLog(SHARD, (CHANGELOG,), consumer)


def offsets(log: PartitionLog, start: int = 0) -> list[int | None]:
    return [record.offset() for record in log.read(CHANGELOG, start)]


def test_a_restore_reads_from_the_beginning_to_the_captured_end(consumer: RestoreConsumer, client: Consumer) -> None:
    log = log_of(consumer, client, 2, 6)
    client.batches = [[Record(2), Record(3)], [Record(5), end_of_partition(6)]]
    assert offsets(log) == [2, 3, 5]
    assert client.assigned == [("assign", [(CHANGELOG, SHARD, 2)]), ("unassign", [])]


def test_an_empty_log_is_not_read_at_all(consumer: RestoreConsumer, client: Consumer) -> None:
    assert offsets(log_of(consumer, client, 7, 7)) == []
    assert client.assigned == []


@pytest.mark.parametrize(("start", "asked_from"), [(0, 4), (4, 4), (5, 5)])
def test_a_read_starts_where_it_is_asked_to_and_never_before_the_log(
    consumer: RestoreConsumer, client: Consumer, start: int, asked_from: int
) -> None:
    log = log_of(consumer, client, 4, 6)
    client.batches = [[end_of_partition(6)]]
    assert offsets(log, start) == []
    assert client.assigned[0] == ("assign", [(CHANGELOG, SHARD, asked_from)])


@pytest.mark.parametrize("start", [6, 7, 1_000])
def test_a_start_at_or_behind_the_end_reads_nothing(consumer: RestoreConsumer, client: Consumer, start: int) -> None:
    assert offsets(log_of(consumer, client, 0, 6), start) == []
    assert client.assigned == []


def test_what_retention_removed_and_the_restore_needs_is_refused(consumer: RestoreConsumer, client: Consumer) -> None:
    with pytest.raises(ValueError, match=rf"{CHANGELOG}\[{SHARD}\] begins at 4; the restore needs 3"):
        offsets(log_of(consumer, client, 4, 6), 3)


def test_an_end_before_the_captured_one_is_waited_over(consumer: RestoreConsumer, client: Consumer) -> None:
    """The end that a read_committed consumer sees is the last stable offset: records behind it are still hidden."""
    log = log_of(consumer, client, 0, 3)
    client.batches = [[Record(0), end_of_partition(1)], [], [end_of_partition(1)], [Record(1), end_of_partition(3)]]
    assert offsets(log) == [0, 1]


def test_records_behind_the_captured_end_are_those_of_somebody_else(
    consumer: RestoreConsumer, client: Consumer
) -> None:
    """They arrive while the restore runs; the end event behind them ends it all the same."""
    log = log_of(consumer, client, 0, 2)
    client.batches = [[Record(0), Record(1), Record(2), end_of_partition(3)], [Record(3)]]
    assert offsets(log) == [0, 1, 2]


def test_records_that_stay_hidden_are_not_waited_for_without_an_end(
    consumer: RestoreConsumer, client: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("runtime.exactly_once.restore.time.monotonic", lambda: float(next(ticks)))
    assert consumer.stalled_s == 3.0, "three transaction time-outs"
    log = log_of(consumer, client, 0, 3)
    client.batches = [[Record(0), end_of_partition(1)]]
    read = log.read(CHANGELOG)
    assert next(read).offset() == 0
    with pytest.raises(TimeoutError, match=r"records below 3 stay hidden .* for 3 s; look for a hanging transaction"):
        next(read)


def test_a_restore_that_goes_on_is_never_too_slow(
    consumer: RestoreConsumer, client: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit counts from the last record: a ledger of hours may be read for minutes."""
    ticks = itertools.count()
    monkeypatch.setattr("runtime.exactly_once.restore.time.monotonic", lambda: float(next(ticks)))
    log = log_of(consumer, client, 0, 50)
    client.batches = [[Record(offset)] for offset in range(50)] + [[end_of_partition(50)]]
    assert len(offsets(log)) == 50


@pytest.mark.parametrize("code", [KafkaError._AUTO_OFFSET_RESET, KafkaError._FATAL])
def test_a_position_in_doubt_ends_the_restore(consumer: RestoreConsumer, client: Consumer, code: int) -> None:
    log = log_of(consumer, client, 0, 3)
    fatal = code == KafkaError._FATAL
    client.batches = [[Record(0, error=KafkaError(code, "lost", fatal))]]
    with pytest.raises(KafkaException):
        offsets(log)


def test_a_broker_that_moves_is_left_to_the_client(consumer: RestoreConsumer, client: Consumer) -> None:
    log = log_of(consumer, client, 0, 1)
    client.batches = [[Record(0, error=KafkaError(KafkaError._TRANSPORT))], [Record(0), end_of_partition(1)]]
    assert offsets(log) == [0]


@settings(max_examples=60)
@given(
    low=st.integers(0, 5),
    kinds=st.lists(st.sampled_from(["record", "marker"]), max_size=30),
    sizes=st.lists(st.integers(1, 4), min_size=30, max_size=30),
)
def test_whatever_the_batches_are_each_record_is_read_once_and_in_order(
    low: int, kinds: list[str], sizes: list[int]
) -> None:
    """Markers take an offset and carry no message; a batch may end anywhere."""
    client = Consumer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(under_test, "Consumer", lambda _: client)
        with RestoreConsumer("app", Settings(), Failpoints("")) as consumer:
            wanted = [low + number for number, kind in enumerate(kinds) if kind == "record"]
            high = low + len(kinds)
            events = [Record(offset) for offset in wanted] + [end_of_partition(high)]
            for size in sizes:
                client.batches.append(events[:size])
                events = events[size:]
            client.batches += [[event] for event in events]
            assert offsets(log_of(consumer, client, low, high)) == wanted


@pytest.mark.parametrize(("asked_ms", "found"), [(1_000, 4), (9_999, 6)])
def test_a_time_behind_every_record_is_the_end(
    consumer: RestoreConsumer, client: Consumer, asked_ms: int, found: int
) -> None:
    client.times = {1_000: 4}
    assert log_of(consumer, client, 2, 6).offset_at(CHANGELOG, asked_ms) == found


RESUMED: list[tuple[str, int | None, dict[str, int], int]] = [
    # what,                                committed, decided,     goes on at
    ("a shard that never saw a record", None, {}, 0),
    ("state and offset agree", 9, {"in": 9}, 9),
    ("the offset expired, the state knows", None, {"in": 9}, 9),
    ("nothing decided, offset expired", None, {"in": 0}, 0),
    ("the log of another topic says nothing", None, {"other": 9}, 0),
]
CONTRADICTED: list[tuple[str, int | None, dict[str, int]]] = [
    ("the offset was moved forward", 10, {"in": 9}),
    ("the offset was moved back", 8, {"in": 9}),
    ("the log was cut off", 9, {}),
    ("the offset was reset to the beginning", 0, {"in": 9}),
    ("another application's offset", 5, {"other": 5}),
]


@pytest.mark.parametrize(("what", "committed", "decided", "resumed"), RESUMED, ids=[row[0] for row in RESUMED])
def test_a_shard_goes_on_where_both_sides_agree(
    consumer: RestoreConsumer,
    client: Consumer,
    caplog: pytest.LogCaptureFixture,
    what: str,
    committed: int | None,
    decided: dict[str, int],
    resumed: int,
) -> None:
    client.marks[CHANGELOG, SHARD] = (0, 0)
    store = Store({SHARD: decided})
    with caplog.at_level(logging.WARNING):
        assert restore_shards({SHARD: {"in": committed}}, store, consumer) == {SHARD: {"in": resumed}}
    assert bool(caplog.records) == (committed is None and "in" in decided), "an expired offset is said aloud"


@pytest.mark.parametrize(("what", "committed", "decided"), CONTRADICTED, ids=[row[0] for row in CONTRADICTED])
def test_a_contradiction_is_refused_with_both_numbers(
    consumer: RestoreConsumer, client: Consumer, what: str, committed: int, decided: dict[str, int]
) -> None:
    client.marks[CHANGELOG, SHARD] = (0, 0)
    with pytest.raises(ValueError, match=rf"has committed {committed}, .* decided up to {decided.get('in')};"):
        restore_shards({SHARD: {"in": committed}}, Store({SHARD: decided}), consumer)


@pytest.mark.parametrize(("committed", "resumed"), [(None, 0), (0, 0), (7, 7)])
def test_without_a_changelog_the_offsets_stand_alone(
    consumer: RestoreConsumer, committed: int | None, resumed: int
) -> None:
    store = Store({SHARD: {"in": 99}}, changelogs=())
    assert restore_shards({SHARD: {"in": committed}}, store, consumer) == {SHARD: {"in": resumed}}


def test_each_shard_is_forgotten_before_it_is_restored(consumer: RestoreConsumer, client: Consumer) -> None:
    """What is left of an earlier ownership would be counted twice."""
    for shard in (0, 1):
        client.marks[CHANGELOG, shard] = (0, 0)
    store = Store()
    restore_shards({0: {"in": None}, 1: {"in": None}}, store, consumer)
    assert store.calls == [("forget", 0), ("restore", 0), ("forget", 1), ("restore", 1)]


KEPT: list[tuple[int, int, tuple[str, ...], int | None]] = [
    # resumed at, log begins at, numbered topics, read from (None = refused)
    (5, 0, (), 5),
    (5, 5, (), 5),
    (5, 6, (), None),
    (5, 6, ("in",), 6),
    (5, 6, ("other",), None),
    (0, 0, (), 0),
    (0, 1, (), None),
    (0, 1, ("in",), 1),
]


@pytest.mark.parametrize(("resumed", "begins", "numbered", "read_from"), KEPT)
def test_what_retention_passed_is_skipped_only_where_the_stage_would_notice_a_gap(
    consumer: RestoreConsumer,
    client: Consumer,
    resumed: int,
    begins: int,
    numbered: tuple[str, ...],
    read_from: int | None,
) -> None:
    client.marks["in", SHARD] = (begins, begins + 10)
    asked: Any = {SHARD: {"in": resumed}}
    if read_from is None:
        with pytest.raises(ValueError, match=rf"begins at {begins} and is decided up to {resumed}: retention"):
            past_retention(asked, Store(numbered=numbered), consumer)
    else:
        assert past_retention(asked, Store(numbered=numbered), consumer) == {SHARD: {"in": read_from}}


def test_a_partition_that_never_gets_a_leader_is_given_up(
    consumer: RestoreConsumer, client: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, asked = [0.0], []

    def leaderless(*_: object, **__: object) -> tuple[int, int]:
        asked.append(now_s[0])
        raise KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))

    def pass_time(seconds: float) -> None:
        now_s[0] += seconds

    monkeypatch.setattr(client, "get_watermark_offsets", leaderless)
    monkeypatch.setattr("runtime.exactly_once.restore.time.monotonic", lambda: now_s[0])
    monkeypatch.setattr("runtime.exactly_once.restore.time.sleep", pass_time)
    with pytest.raises(KafkaException):
        consumer.watermarks((CHANGELOG, 0))
    assert 26 < asked[-1] <= under_test.WATERMARK_DEADLINE_S + 1, "a broker crash leaves a partition alone for 26 s"
