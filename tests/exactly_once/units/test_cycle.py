"""Goal: a cycle holds the furthest offset per partition and the first epoch it was held under, and any doubt ends it.

Method: random deliveries against a plain account of them; the commit with a failure at each of its steps.
"""

from collections.abc import Collection, Sequence
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.exactly_once.commit import Cycle, commit_cycle
from runtime.exactly_once.contract import Chunk
from runtime.exactly_once.failpoints import NAMES, REDRIVE_NAMES, SCHEDULE_NAMES, Failpoints
from tests.exactly_once.units.scripted import Record

STEPS = ("open", "before_commit", "metadata", "flush", "send_offsets", "commit", "remember", "after_commit", "renew")


def chunk(shard: int, first: int, last: int) -> Chunk:
    records: Any = [Record(first, shard), Record(last, shard)]
    return Chunk("in", shard, records, lambda *_, **__: None)


class Parts:
    """Store, membership and producer of one commit in one: notes the steps, and fails at one of them."""

    def __init__(self, fails_at: str = "") -> None:
        self.epochs = {("in", 0): 7}
        self.taken: list[str] = []
        self.sent: list[tuple[list[tuple[str, int, int]], bytes]] = []
        self.ended_in_s = 0.0
        self._fails_at = fails_at
        self._metadata = iter((b"generation 1", b"generation 2"))

    def _step(self, name: str) -> None:
        self.taken.append(name)
        if name == self._fails_at:
            raise RuntimeError(name)

    def open(self) -> None:
        self._step("open")

    def before_commit(self, shards: Collection[int], produce: object) -> None:
        self._step("before_commit")

    def produce(self) -> None: ...

    def group_metadata(self) -> bytes:
        self._step("metadata")
        return next(self._metadata)

    def flush(self) -> None:
        self._step("flush")

    def send_offsets(self, offsets: Sequence[TopicPartition], metadata: bytes) -> None:
        self._step("send_offsets")
        self.sent.append(([(o.topic, o.partition, o.offset) for o in offsets], metadata))

    def commit(self) -> None:
        self._step("commit")

    def committed_up_to(self, offsets: dict[tuple[str, int], int]) -> None:
        self._step("remember")

    def after_commit(self, shards: Collection[int]) -> None:
        self._step("after_commit")

    def renew(self, took_s: float) -> None:
        self._step("renew")
        self.ended_in_s = took_s


def committed(parts: Any, cycle: Cycle | None = None, armed: str = "") -> float:
    cycle = cycle or Cycle(offsets={("in", 0): 5}, epochs={("in", 0): 7})
    return commit_cycle(cycle, parts, parts, parts, Failpoints(armed))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 9)), max_size=20))
def test_a_cycle_commits_what_was_delivered_last_under_the_epoch_of_what_was_first(
    deliveries: list[tuple[int, int, int]],
) -> None:
    cycle, ends, firsts = Cycle(), dict[int, int](), dict[int, int]()
    for shard, length, epoch in deliveries:
        begin = ends.get(shard, 0)
        cycle.add([chunk(shard, begin, begin + length - 1)], {("in", shard): epoch})
        ends[shard] = begin + length
        firsts.setdefault(shard, epoch)
    assert cycle.offsets == {("in", shard): end for shard, end in ends.items()}
    assert cycle.epochs == {("in", shard): epoch for shard, epoch in firsts.items()}
    assert cycle.shards == set(ends)
    assert cycle.undecided == len(deliveries)


def test_chunks_count_as_undecided_until_the_driver_is_back() -> None:
    cycle = Cycle()
    cycle.add([chunk(0, 0, 1), chunk(1, 0, 1)], {("in", 0): 1, ("in", 1): 1})
    cycle.decided(1)
    assert cycle.undecided == 1
    cycle.decided(1)
    assert cycle.undecided == 0


def test_a_cycle_is_as_old_as_its_first_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [10.0]
    monkeypatch.setattr("runtime.exactly_once.commit.time.monotonic", lambda: now_s[0])
    cycle = Cycle()
    cycle.add([chunk(0, 0, 1)], {("in", 0): 1})
    now_s[0] = 20.0
    cycle.add([chunk(0, 2, 3)], {("in", 0): 1})
    assert cycle.opened_at_s == 10.0


def test_a_chunk_without_an_epoch_is_a_bug_and_never_committed() -> None:
    with pytest.raises(KeyError):
        Cycle().add([chunk(0, 0, 1)], {})


def test_offsets_are_sent_under_the_metadata_read_after_the_flush() -> None:
    """KIP-848 may have bumped the member's epoch while the records were on their way."""
    parts = Parts()
    committed(parts)
    assert parts.sent == [([("in", 0, 5)], b"generation 2")]


@pytest.mark.parametrize("step", STEPS)
def test_nothing_of_a_commit_happens_behind_a_step_that_failed(step: str) -> None:
    """Whatever fails, the caller ends the process: going on would commit half of a cycle."""
    parts = Parts(step)
    with pytest.raises(RuntimeError, match=step):
        committed(parts)
    whole = Parts()
    committed(whole)
    assert parts.taken == whole.taken[: whole.taken.index(step) + 1]


@pytest.mark.parametrize("now", [{}, {("in", 0): 8}, {("in", 1): 7}, {("other", 0): 7}], ids=str)
def test_a_partition_given_away_since_is_refused_before_anything_is_flushed(
    now: dict[tuple[str, int], int], crashes: list[str]
) -> None:
    parts = Parts()
    parts.epochs = now
    with pytest.raises(SystemExit):
        committed(parts)
    assert crashes == ["in[0] not owned continuously since its delivery: refusing to commit"]
    assert "flush" not in parts.taken
    assert parts.sent == []


def test_one_partition_of_many_in_doubt_refuses_all(crashes: list[str]) -> None:
    parts = Parts()
    parts.epochs = {("in", 0): 1, ("in", 1): 3}
    with pytest.raises(SystemExit, match=r"in\[1\]"):
        committed(parts, Cycle(offsets={("in", 0): 5, ("in", 1): 6}, epochs={("in", 0): 1, ("in", 1): 2}))
    assert parts.sent == []


def test_the_time_that_the_end_took_decides_about_the_next_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the end of the transaction counts: a slow flush leaves nothing under way."""
    began, ending, ended, done = 100.0, 102.0, 102.25, 102.5
    ticks = iter((began, ending, ended, done))
    monkeypatch.setattr("runtime.exactly_once.commit.time.monotonic", lambda: next(ticks))
    parts = Parts()
    assert committed(parts) == 2.5
    assert parts.ended_in_s == 0.25


@pytest.mark.parametrize("name", ["before_commit", "after_flush"])
def test_the_step_is_reached_in_its_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts()
    reached: list[list[str]] = []
    monkeypatch.setattr(Failpoints, "_act", lambda _: reached.append(list(parts.taken)))
    committed(parts, armed=f"{name}:1")
    assert reached == [{"before_commit": [], "after_flush": parts.taken[: parts.taken.index("flush") + 1]}[name]]


def test_no_two_steps_have_one_name() -> None:
    assert len({*NAMES, *REDRIVE_NAMES, *SCHEDULE_NAMES}) == len(NAMES) + len(REDRIVE_NAMES) + len(SCHEDULE_NAMES)


@pytest.mark.parametrize("name", [*NAMES, *REDRIVE_NAMES, *SCHEDULE_NAMES])
def test_an_armed_step_acts_on_its_nth_time_and_only_then(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    acted: list[str] = []
    monkeypatch.setattr(Failpoints, "_act", lambda _: acted.append("acted"))
    points = Failpoints(f"{name}:3")
    seen = []
    for _ in range(5):
        for other in {*NAMES, *REDRIVE_NAMES, *SCHEDULE_NAMES} - {name}:
            points.reach(other)
        points.reach(name)
        seen.append(len(acted))
    assert seen == [0, 0, 1, 1, 1]


def test_nothing_armed_never_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failpoints, "_act", lambda _: pytest.fail("acted"))
    points = Failpoints("")
    for name in (*NAMES, *REDRIVE_NAMES, *SCHEDULE_NAMES, ""):
        points.reach(name)
