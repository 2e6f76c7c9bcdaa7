"""Goal: the coordinator's decisions are read in both layouts, to the end, and a gap in the log is known as one."""

import struct
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.exactly_once.broker import hanging, transaction_log, wire
from runtime.exactly_once.broker.hanging import Decision, decide
from runtime.exactly_once.broker.transaction_admin import Cluster, OpenProducer, Transaction
from runtime.exactly_once.broker.transaction_log import STATES, TransactionLog, TransactionState, decode_state
from runtime.kafka_client import AccessRefused, Brokers

BROKERS = Brokers("host:1")

PARTITIONS = st.dictionaries(
    st.text("abc.", min_size=1, max_size=8), st.sets(st.integers(0, 4095), max_size=5), max_size=4
)


def key_of(name: str) -> bytes:
    return struct.pack(">hh", 0, len(name.encode())) + name.encode()


def plain(head: bytes, by_topic: dict[str, set[int]]) -> bytes:
    topics = [
        struct.pack(">h", len(topic)) + topic.encode() + struct.pack(f">i{len(numbers)}i", len(numbers), *numbers)
        for topic, numbers in by_topic.items()
    ]
    return struct.pack(">h", 0) + head + struct.pack(">i", len(topics)) + b"".join(topics) + struct.pack(">qq", 1, 2)


def flexible(head: bytes, by_topic: dict[str, set[int]]) -> bytes:
    topics = wire.array(
        by_topic.items(), lambda pair: wire.text(pair[0]) + wire.array(pair[1], wire.int32) + b"\1\7\2hi"
    )
    return struct.pack(">h", 1) + head + topics + struct.pack(">qq", 1, 2) + b"\0"


@settings(max_examples=60)
@given(
    name=st.text(min_size=1, max_size=30),
    producer_id=st.integers(0, 2**62),
    epoch=st.integers(0, 2**15 - 1),
    state=st.integers(0, len(STATES) - 1),
    by_topic=PARTITIONS,
)
def test_both_layouts_say_the_same(
    name: str, producer_id: int, epoch: int, state: int, by_topic: dict[str, set[int]]
) -> None:
    head = struct.pack(">qhib", producer_id, epoch, 10_000, state)
    named = frozenset((topic, number) for topic, numbers in by_topic.items() for number in numbers)
    expected = TransactionState(name, producer_id, epoch, STATES[state], named)
    assert decode_state(key_of(name), plain(head, by_topic)) == expected
    assert decode_state(key_of(name), flexible(head, by_topic)) == expected


@pytest.mark.parametrize(
    ("code", "name"), [(0, "Empty"), (2, "PrepareCommit"), (3, "PrepareAbort"), (4, "CompleteCommit")]
)
def test_states_have_kafkas_numbers(code: int, name: str) -> None:
    """TransactionState.java: swapping two of them would commit what was aborted."""
    assert decode_state(key_of("id"), plain(struct.pack(">qhib", 1, 0, 0, code), {})).state == name


class StoredLog:
    """A consumer of `__transaction_state` with these records per partition."""

    def __init__(self, records: dict[int, list[tuple[int, bytes | None]]], ends: dict[int, int]) -> None:
        self._ends = ends
        self._batches: list[list[Any]] = [
            [stored(number, offset, value)] for number, values in records.items() for offset, value in values
        ]
        self.assigned: set[int] = set()
        self.topic_error: KafkaError | None = None

    def list_topics(self, topic: str, timeout: int) -> SimpleNamespace:
        found = SimpleNamespace(partitions=dict.fromkeys(self._ends), error=self.topic_error)
        return SimpleNamespace(topics={topic: found})

    def get_watermark_offsets(self, asked: Any, timeout: int) -> tuple[int, int]:
        return 0, self._ends[asked.partition]

    def assign(self, partitions: list[Any]) -> None:
        self.assigned = {partition.partition for partition in partitions}

    def consume(self, _count: int, _timeout_s: float) -> list[Any]:
        return self._batches.pop(0) if self._batches else []


def stored(number: int, offset: int, value: bytes | None, error: object = None) -> SimpleNamespace:
    return SimpleNamespace(
        error=lambda: error,
        partition=lambda: number,
        offset=lambda: offset,
        key=lambda: key_of(f"id{number}"),
        value=lambda: value,
    )


COMMITTING = flexible(struct.pack(">qhib", 77, 3, 10_000, 2), {"topic": {0}})


def test_a_log_without_gap_is_whole() -> None:
    log = StoredLog({0: [(0, COMMITTING), (1, COMMITTING)], 4: [(0, COMMITTING)]}, {0: 2, 3: 0, 4: 1})
    found = transaction_log._read(log, BROKERS)
    assert found.whole
    assert [state.transactional_id for state in found.states] == ["id0", "id0", "id4"]
    assert log.assigned == {0, 4}, "an empty partition has nothing to wait for"


@pytest.mark.parametrize("offsets", [(1, 2), (0, 2)])
def test_a_record_that_compaction_removed_makes_the_log_partial(offsets: tuple[int, ...]) -> None:
    found = transaction_log._read(StoredLog({0: [(offset, COMMITTING) for offset in offsets]}, {0: 3}), BROKERS)
    assert not found.whole
    assert len(found.states) == 2


def test_a_tombstone_is_no_state_and_no_gap() -> None:
    found = transaction_log._read(StoredLog({0: [(0, None), (1, COMMITTING)]}, {0: 2}), BROKERS)
    assert found.whole
    assert len(found.states) == 1


def test_a_transient_error_is_read_past() -> None:
    log = StoredLog({0: [(0, COMMITTING)]}, {0: 1})
    log._batches.insert(0, [stored(0, 0, None, KafkaError(KafkaError._TRANSPORT))])
    assert len(transaction_log._read(log, BROKERS).states) == 1


def test_a_log_that_we_may_not_read_is_no_empty_log() -> None:
    """“No decision on record” would be answered with an abort, of what may be committed."""
    log = StoredLog({}, {})
    log.topic_error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(AccessRefused, match="may not read __transaction_state"):
        transaction_log._read(log, BROKERS)


def test_a_right_taken_away_in_the_middle_ends_the_reading() -> None:
    log = StoredLog({0: [(0, COMMITTING)]}, {0: 1})
    log._batches.insert(0, [stored(0, 0, None, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))])
    with pytest.raises(AccessRefused, match="may not read __transaction_state"):
        transaction_log._read(log, BROKERS)


def test_a_log_that_cannot_be_read_to_its_end_is_no_shorter_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction_log, "READ_DEADLINE_S", 0.01)
    with pytest.raises(TimeoutError, match="__transaction_state not readable to its end"):
        transaction_log._read(StoredLog({0: [(0, COMMITTING)]}, {0: 5}), BROKERS)


OPENED = OpenProducer(("topic", 0), 77, 3, 0, 0, 5)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (TransactionState("id", 78, 3, "PrepareCommit", frozenset({("topic", 0)})), "another producer"),
        (TransactionState("id", 77, 3, "PrepareCommit", frozenset({("topic", 1)})), "another partition"),
        (TransactionState("id", 77, 3, "PrepareCommit", frozenset({("other", 0)})), "another topic"),
    ],
)
def test_a_commit_of_something_else_commits_nothing_here(state: TransactionState, why: str) -> None:
    assert [verdict.decision for verdict in decide(TransactionLog((state,), True), [OPENED])] == [Decision.ABORT], why


def test_the_marker_carries_the_epoch_under_which_it_was_decided() -> None:
    """A fencing abort is written under the next epoch; the broker refuses a marker of the old one."""
    fenced = TransactionState("id", 77, 4, "PrepareAbort", frozenset({("topic", 0)}))
    assert decide(TransactionLog((fenced,), False), [OPENED])[0].marker_epoch == 4


def scanned(monkeypatch: pytest.MonkeyPatch, known: list[Transaction], age_ms: int = 1_000) -> list[OpenProducer]:
    monkeypatch.setattr(hanging, "cluster", lambda _: Cluster({}, {}))
    monkeypatch.setattr(hanging, "open_producers", lambda _: [OPENED])
    monkeypatch.setattr(hanging, "transactions", lambda _: known)
    monkeypatch.setattr(hanging, "time", SimpleNamespace(time=lambda: 5.0, sleep=lambda _: None))
    return hanging.scan_hanging(BROKERS, age_ms)


@pytest.mark.parametrize(
    ("state", "partition", "suspect"),
    [
        ("Ongoing", "topic", False),
        ("PrepareCommit", "topic", False),
        ("PrepareAbort", "topic", False),
        ("CompleteCommit", "topic", True),
        ("Empty", "topic", True),
        ("Ongoing", "other", True),  # under way, and without this partition: the write belongs to nothing
    ],
)
def test_only_a_transaction_that_the_coordinator_has_closed_is_suspect(
    monkeypatch: pytest.MonkeyPatch, state: str, partition: str, suspect: bool
) -> None:
    known = Transaction("id", state, 10_000, 77, 3, frozenset({(partition, 0)}))
    assert bool(scanned(monkeypatch, [known])) is suspect


@pytest.mark.parametrize(("age_ms", "suspect"), [(4_999, True), (5_000, False), (60_000, False)])
def test_a_young_transaction_is_left_alone(monkeypatch: pytest.MonkeyPatch, age_ms: int, suspect: bool) -> None:
    assert bool(scanned(monkeypatch, [], age_ms)) is suspect


def test_what_moved_between_two_looks_is_not_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [[OPENED], [OPENED._replace(last_timestamp_ms=1)]]
    monkeypatch.setattr(hanging, "scan_hanging", lambda *_: looks.pop(0))
    assert hanging.find_hanging(BROKERS, 10_000, confirm_after_s=0) == []
    assert looks == []


def test_what_stands_still_is_hanging_after_three_time_outs(monkeypatch: pytest.MonkeyPatch) -> None:
    ages: list[int] = []

    def look(_: str, age_ms: int) -> list[OpenProducer]:
        ages.append(age_ms)
        return [OPENED]

    monkeypatch.setattr(hanging, "scan_hanging", look)
    assert hanging.find_hanging(BROKERS, 10_000, confirm_after_s=0) == [OPENED]
    assert ages == [30_000, 30_000]
