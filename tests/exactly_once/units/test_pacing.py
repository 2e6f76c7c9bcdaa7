"""Goal: a cycle is committed when the input is drained or it is at its longest, never empty, and paced by the broker.

Method: the engine's own turn, over a poll that is scripted and a clock that moves only when somebody waits or works.
"""

import threading
from collections.abc import Collection, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError

from runtime.exactly_once import engine as under_test
from runtime.exactly_once.commit import Cycle
from runtime.exactly_once.contract import Chunk
from runtime.exactly_once.engine import COMMIT_PACE, IDLE_WAIT_S, Engine
from runtime.exactly_once.restore import Partition
from runtime.settings import Settings
from tests.exactly_once.units.scripted import Record, Store

CHUNK_RECORDS, CYCLE_MAX_S = 4, 0.25  # sums of quarters are exact


class Clock:
    """Stands for `time`: sleeping is all that passes by itself."""

    def __init__(self) -> None:
        self.now_s = 1_024.0
        self.slept_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


class Polls:
    """Stands for the membership: what each poll returns, and how long it was told to wait."""

    def __init__(self, clock: Clock) -> None:
        self.epochs: dict[Partition, int] = {("in", shard): 1 for shard in range(3)}
        self.positions: dict[Partition, int] = dict.fromkeys(self.epochs, 0)
        self.answers: list[list[Record]] = []
        self.waits_s: list[float] = []
        self._clock = clock

    def poll(self, timeout_s: float, records_max: int) -> list[Record]:
        self.waits_s.append(timeout_s)
        assert records_max == CHUNK_RECORDS
        if self.answers:
            return self.answers.pop(0)
        self._clock.now_s += timeout_s
        return []


class Calls:
    """Stands for the producer."""

    def __init__(self) -> None:
        self.writable = False
        self.served = 0

    def open(self) -> None:
        self.writable = True

    def close(self) -> None:
        self.writable = False

    def serve_callbacks(self) -> None:
        self.served += 1

    def produce(self, *_: object, **__: object) -> None:
        raise AssertionError("no test of this file writes")


class Decider:
    """A driver that takes its time for each round."""

    def __init__(self, engine: "Paced") -> None:
        self._engine = engine
        self.delivered: list[list[tuple[int, int, int]]] = []
        self.takes_s = 0.0

    def deliver(self, chunks: Sequence[Chunk]) -> None:
        assert self._engine.producer.writable, "a stage writes while it decides"
        self._engine.clock.now_s += self.takes_s
        self.delivered.append([(chunk.shard, chunk.first_offset, chunk.next_offset) for chunk in chunks])

    def assigned(self, partitions: Collection[Partition]) -> None: ...

    def revoked(self, partitions: Collection[Partition]) -> None: ...


class Paced:
    """An engine between its scripted neighbours, and the cycles that it committed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.clock, self.producer = Clock(), Calls()
        self.polls = Polls(self.clock)
        self.commit_takes_s = 0.01
        self.committed: list[dict[Partition, int]] = []
        patch.setattr(under_test, "time", self.clock)
        patch.setattr("runtime.exactly_once.commit.time", self.clock)
        patch.setattr(under_test, "commit_cycle", self._commit)
        patch.setattr(under_test, "TransactionProducer", lambda *_: self.producer)
        patch.setattr(under_test, "Membership", lambda *_: self.polls)
        settings = Settings(chunk_records=CHUNK_RECORDS, cycle_max_ms=int(CYCLE_MAX_S * 1000))
        self.engine = Engine("app", Store(), settings)
        self.driver = Decider(self)
        self.stop = threading.Event()

    def _commit(self, cycle: Cycle, *_: object) -> float:
        assert not self.producer.writable, "nobody decides during a commit"
        assert cycle.undecided == 0
        self.committed.append(dict(cycle.offsets))
        self.clock.now_s += self.commit_takes_s
        return self.commit_takes_s

    def turn(self, *records: Record) -> None:
        if records:
            self.polls.answers.append(list(records))
        self.engine._turn(self.driver, self.stop)


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> Paced:
    return Paced(monkeypatch)


def full(first: int) -> list[Record]:
    return [Record(first + number) for number in range(CHUNK_RECORDS)]


def test_what_drained_the_input_is_committed_at_once(paced: Paced) -> None:
    """Nobody waits for more records while a payment stands undecided: latency is one cycle."""
    paced.turn(Record(0), Record(1))
    assert paced.committed == [{("in", 0): 2}]
    assert paced.engine.cycles == 1


def test_a_full_poll_keeps_the_cycle_open_because_more_is_there(paced: Paced) -> None:
    paced.turn(*full(0))
    assert paced.committed == []
    paced.turn(*full(4))
    assert paced.committed == []
    paced.turn(Record(8))
    assert paced.committed == [{("in", 0): 9}], "one transaction for all three"


def test_a_cycle_at_its_longest_is_committed_although_more_is_there(paced: Paced) -> None:
    paced.driver.takes_s = CYCLE_MAX_S / 2
    paced.turn(*full(0))
    assert paced.committed == []
    paced.turn(*full(4))
    assert paced.committed == [{("in", 0): 8}]


def test_the_age_of_a_cycle_counts_from_its_first_chunk(paced: Paced) -> None:
    paced.clock.now_s += 10 * CYCLE_MAX_S
    paced.turn(*full(0))
    assert paced.committed == []


def test_a_cycle_that_stayed_open_is_committed_by_the_next_poll_that_finds_nothing(paced: Paced) -> None:
    paced.turn(*full(0))
    paced.turn()
    assert paced.committed == [{("in", 0): 4}]


def test_what_a_stop_finds_undecided_is_left_to_the_next_owner(paced: Paced) -> None:
    """The driver may not have heard of the assignment that came with these records: it would never come back."""
    paced.stop.set()
    paced.turn(Record(0), Record(1))
    assert paced.driver.delivered == []
    assert paced.committed == []


def test_an_idle_worker_commits_nothing_and_serves_the_errors_that_arrive(paced: Paced) -> None:
    for _ in range(5):
        paced.turn()
    assert (paced.committed, paced.engine.cycles) == ([], 0)
    assert paced.producer.served == 5
    assert paced.polls.waits_s == [IDLE_WAIT_S] * 5


def test_with_an_open_cycle_a_poll_does_not_wait(paced: Paced) -> None:
    """The wait of an idle worker would be the age of every transaction."""
    paced.turn(*full(0))
    paced.turn(*full(4))
    paced.turn(Record(8))
    assert paced.polls.waits_s == [IDLE_WAIT_S, 0.0, 0.0]


def test_after_a_commit_the_next_cycle_waits_a_share_of_the_average_commit(paced: Paced) -> None:
    paced.commit_takes_s = 0.1
    paced.turn(Record(0))
    average_s = 0.005 + 0.2 * (0.1 - 0.005)
    paced.turn(Record(1))
    assert paced.clock.slept_s == [pytest.approx(COMMIT_PACE * average_s)]


def test_the_pause_grows_with_a_broker_that_becomes_slow_and_never_exceeds_its_share(paced: Paced) -> None:
    paced.commit_takes_s = 0.2
    for number in range(40):
        paced.turn(Record(number))
    assert paced.clock.slept_s == sorted(paced.clock.slept_s)
    assert paced.clock.slept_s[-1] == pytest.approx(COMMIT_PACE * 0.2, rel=0.01)


def test_time_that_passed_anyway_is_not_waited_for_again(paced: Paced) -> None:
    paced.commit_takes_s = 0.1
    paced.turn(Record(0))
    paced.clock.now_s += 1.0
    paced.turn(Record(1))
    assert paced.clock.slept_s == []


def test_an_open_cycle_is_never_paused(paced: Paced) -> None:
    paced.commit_takes_s = 10.0
    paced.turn(Record(0))
    paced.turn(*full(1))
    slept = len(paced.clock.slept_s)
    paced.turn(Record(5))
    assert len(paced.clock.slept_s) == slept


def test_a_large_backlog_is_decided_in_rounds_and_committed_between_them_when_they_take_long(paced: Paced) -> None:
    paced.driver.takes_s = CYCLE_MAX_S
    heavy = [Record(offset, partition, size_bytes=400_000) for partition in (0, 1) for offset in (0, 1)]
    paced.turn(*heavy)
    assert paced.driver.delivered == [[(0, 0, 1)], [(0, 1, 2)], [(1, 0, 1)], [(1, 1, 2)]]
    assert paced.committed == [{("in", 0): 1}, {("in", 0): 2}, {("in", 1): 1}, {("in", 1): 2}]


def test_records_of_several_partitions_are_one_round_with_a_chunk_each(paced: Paced) -> None:
    paced.turn(Record(7, 2), Record(0, 0), Record(9, 2))
    assert paced.driver.delivered == [[(2, 7, 10), (0, 0, 1)]]
    assert paced.committed == [{("in", 2): 10, ("in", 0): 1}]


def test_what_is_not_owned_is_neither_decided_nor_committed(paced: Paced) -> None:
    """Records of a partition that left may still lie in the consumer's queue."""
    del paced.polls.epochs["in", 1]
    paced.turn(Record(0, 1), Record(1, 1))
    assert (paced.driver.delivered, paced.committed) == ([], [])


def test_a_transient_fetch_error_is_left_to_the_client(paced: Paced, crashes: list[str]) -> None:
    paced.turn(Record(0, error=KafkaError(KafkaError._TRANSPORT)), Record(3))
    assert crashes == []
    assert paced.committed == [{("in", 0): 4}]


@pytest.mark.parametrize(
    "code", [KafkaError._MAX_POLL_EXCEEDED, KafkaError._AUTO_OFFSET_RESET, KafkaError._FATAL], ids=str
)
def test_an_error_that_leaves_the_position_in_doubt_ends_the_process(
    paced: Paced, crashes: list[str], code: int
) -> None:
    with pytest.raises(SystemExit):
        paced.turn(Record(0), Record(0, error=KafkaError(code)))
    assert paced.committed == []
    assert crashes[0].startswith("consume: ")


def test_a_failed_decision_leaves_the_cycle_uncommitted(paced: Paced, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Sequence[Any]) -> None:
        raise ArithmeticError

    monkeypatch.setattr(paced.driver, "deliver", fail)
    with pytest.raises(ArithmeticError):
        paced.turn(Record(0))
    assert paced.committed == []
