"""The commit as a sequence: what it refuses, in which order it writes, and that no retry is without an end."""

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import NewTopic

from runtime.exactly_once import engine, transaction
from runtime.exactly_once.commit import Cycle, commit_cycle
from runtime.exactly_once.contract import Chunk, Produce
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.engine import Engine
from runtime.exactly_once.failpoints import Failpoints, InjectedBug
from runtime.exactly_once.transaction import TransactionProducer
from runtime.settings import Settings
from tests.exactly_once.application.account_sums import AccountSums
from tests.exactly_once.application.processes import Run, create_topics


class Steps:
    """Records what `commit_cycle` asks of the store, the membership and the producer, in order."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.offsets: list[TopicPartition] = []
        self.epochs = {("in", 0): 7}
        self.positions = {("in", 0): 100}
        self.produce: Any = lambda *_, **__: self.taken.append("produce")
        self.flush_s = 0.0
        self.ended_in_s = -1.0

    def open(self) -> None:
        self.taken.append("open")

    def before_commit(self, shards: Collection[int], produce: Produce) -> None:
        produce("snapshot", b"", partition=0)

    def group_metadata(self) -> bytes:
        return b"metadata"

    def flush(self) -> None:
        time.sleep(self.flush_s)
        self.taken.append("flush")

    def send_offsets(self, offsets: Sequence[TopicPartition], metadata: bytes) -> None:
        self.taken.append("send_offsets")
        self.offsets = list(offsets)

    def commit(self) -> None:
        self.taken.append("commit")

    def committed_up_to(self, offsets: dict[tuple[str, int], int]) -> None:
        self.taken.append("remember")

    def after_commit(self, shards: Collection[int]) -> None:
        self.taken.append("after_commit")

    def renew(self, ended_in_s: float) -> None:
        self.ended_in_s = ended_in_s
        self.taken.append("renew")


def test_records_are_flushed_before_the_offsets_are_sent() -> None:
    """Without the explicit flush, send_offsets and commit of 1,000 records took 91 ms instead of 4."""
    steps = _commit(_cycle())
    assert steps.taken == ["open", "produce", "flush", "send_offsets", "commit", "remember", "after_commit", "renew"]


def test_a_slow_flush_is_no_reason_for_a_new_epoch() -> None:
    """Regression: on a machine where every flush took 2 s, each cycle was followed by 3 s of init_transactions."""
    steps = Steps()
    steps.flush_s = 0.5
    took_s = commit_cycle(_cycle(), *cast("tuple[Any, Any, Any]", (steps,) * 3), Failpoints(""))
    assert took_s >= 0.5 > steps.ended_in_s >= 0


def test_offsets_are_those_of_what_was_delivered_never_of_the_position() -> None:
    steps = _commit(_cycle(next_offset=12))
    assert [(o.topic, o.partition, o.offset) for o in steps.offsets] == [("in", 0, 12)]
    assert steps.positions["in", 0] == 100


def test_an_undecided_chunk_is_never_committed(crashes: list[str]) -> None:
    cycle = _cycle()
    cycle.undecided = 1
    with pytest.raises(SystemExit, match="not decided"):
        _commit(cycle)


def test_a_partition_that_left_and_came_back_is_not_committed(crashes: list[str]) -> None:
    cycle = _cycle()
    cycle.epochs["in", 0] = 6
    with pytest.raises(SystemExit, match="not owned continuously"):
        _commit(cycle)


def test_the_first_epoch_of_a_cycle_stays(run: Run) -> None:
    cycle = Cycle()
    chunk = Chunk("in", 0, [_Record(3)], lambda *_, **__: None)
    cycle.add([chunk], {("in", 0): 1})
    cycle.add([chunk], {("in", 0): 2})
    assert cycle.epochs == {("in", 0): 1}


def test_stale_and_foreign_records_are_dropped(run: Run) -> None:
    """One poll may hold records from before a rebalance: of partitions given away, or delivered already."""
    made = Engine(run.name, AccountSums(run.name), _settings(run))
    made._membership.epochs = {("in", 0): 1}
    made._membership.positions = {("in", 0): 5}
    records = [_Record(offset) for offset in (3, 4, 5, 6)] + [_Record(1, partition=9)]
    chunks = made._chunks(records)
    assert [(chunk.shard, chunk.first_offset, chunk.next_offset) for chunk in chunks] == [(0, 5, 7)]
    assert made._chunks(records) == []


def test_a_chunk_is_bounded_in_bytes() -> None:
    records = [_Record(offset, size_bytes=200_000) for offset in range(5)] + [_Record(5, size_bytes=900_000)]
    sizes = [[record.offset() for record in chunk] for chunk in engine.split(records)]
    assert sizes == [[0, 1], [2, 3], [4], [5]]


def test_a_chunk_may_begin_with_records_that_have_no_value() -> None:
    """A tombstone has no bytes to count; one of them in front of a chunk ended the worker at every start."""
    records = [_Record(offset, size_bytes=size_bytes) for offset, size_bytes in enumerate((0, 0, 100, 0))]
    assert [[record.offset() for record in chunk] for chunk in engine.split(records)] == [[0, 1, 2, 3]]


def test_a_retriable_error_is_retried_only_until_its_deadline(run: Run, crashes: list[str]) -> None:
    """After a broker crash librdkafka called a lost transaction retriable every 5 s, for ever."""
    producer = _producer(run)
    calls: list[float] = []

    def times_out(left_s: float) -> None:
        calls.append(left_s)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "timed out", False, True))

    begun_s = time.monotonic()
    with pytest.raises(SystemExit, match="send_offsets"):
        producer._bounded("send_offsets", times_out, 0.3)
    assert 0.2 < time.monotonic() - begun_s < 5
    assert len(calls) > 2


def test_an_error_that_is_not_retriable_ends_the_process_at_once(run: Run, crashes: list[str]) -> None:
    producer = _producer(run)

    def fenced(_: float) -> None:
        raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", True))

    with pytest.raises(SystemExit, match="fenced"):
        producer._bounded("commit_transaction", fenced, 30)


@pytest.mark.parametrize(("suspect", "flush_took_s", "ends"), [("lost", 3, True), ("lost", 0, False), ("", 3, False)])
def test_a_slow_flush_after_a_lost_broker_ends_the_process(
    run: Run, crashes: list[str], monkeypatch: pytest.MonkeyPatch, suspect: str, flush_took_s: int, ends: bool
) -> None:
    """send_offsets hung after it every time; a new start takes less than waiting for that."""
    producer, now = _producer(run), [100.0]

    class Flushed:
        def flush(self, _: float) -> int:
            now[0] += flush_took_s
            return 0

    producer._producer, producer._suspect = Flushed(), suspect
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    if ends:
        with pytest.raises(SystemExit, match="the broker was lost"):
            producer.flush()
    else:
        producer.flush()


@pytest.mark.parametrize("trouble", ["slow", "suspect"])
def test_a_doubtful_commit_renews_the_producer_epoch(run: Run, trouble: str) -> None:
    """A delayed EndTxn of the old epoch is then fenced instead of ending the next transaction (KIP-890)."""
    producer = _producer(run)
    producer.start()
    before = producer._producer
    producer.commit()
    producer.renew(0.01)
    assert producer._producer is before
    if trouble == "suspect":
        producer._on_error(KafkaError(KafkaError._TRANSPORT))
    producer.commit()
    producer.renew(transaction.SLOW_COMMIT_S + 1 if trouble == "slow" else 0.01)
    assert producer._producer is not before
    assert producer.rotations == 1


def test_nothing_may_be_produced_outside_a_cycle(run: Run) -> None:
    producer = _producer(run)
    producer.start()
    with pytest.raises(RuntimeError, match="outside a chunk"):
        producer.produce(run.topics.ledger, b"late", partition=0)
    producer.open()
    with pytest.raises(ValueError, match="stage chooses the partition"):
        producer.produce(run.topics.ledger, b"anywhere", partition=-1)


def test_a_failed_delivery_ends_the_process(run: Run) -> None:
    """The transaction is lost; waiting for the commit to say so would repeat its time-outs for ever."""
    create_topics(run.broker, [NewTopic(f"{run.name}.small", 1, 1, config={"max.message.bytes": "100"})])
    child = os.fork()
    if child == 0:
        producer = _producer(run)
        producer.start()
        producer.open()
        producer.produce(f"{run.name}.small", bytes(5_000), partition=0)
        producer.flush()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == EXIT_CRASHED


def test_an_exception_of_the_stage_ends_the_process_before_anything_is_committed(run: Run, crashes: list[str]) -> None:
    run.fund()
    store = AccountSums(run.name)
    made = Engine(run.name, store, _settings(run))

    def fail(chunk: Chunk) -> None:
        raise ArithmeticError("a bug in the stage")

    with pytest.raises(SystemExit, match="ArithmeticError: a bug in the stage"):
        made.run(engine.PlainDriver(fail), threading.Event())
    assert store.committed_cycles == 0
    made._membership.before_revoke = lambda: None
    made._membership.leave()


@pytest.mark.parametrize(
    "armed", ["nowhere:1", "after_flush", "after_flush:x", "after_flush:1:pause", "after_flush:1:hold"]
)
def test_a_mistyped_failpoint_is_refused(armed: str) -> None:
    with pytest.raises(ValueError, match="EOS_FAILPOINT"):
        Failpoints(armed)


def test_an_armed_bug_is_raised_the_nth_time_and_a_hold_keeps_the_thread() -> None:
    bug = Failpoints("mid_cycle:2:raise")
    bug.reach("mid_cycle")
    with pytest.raises(InjectedBug):
        bug.reach("mid_cycle")
    begun_s = time.monotonic()
    Failpoints("mid_cycle:1:hold=1").reach("mid_cycle")
    assert time.monotonic() - begun_s >= 1


class _Record:
    """A consumed record, as far as the engine looks at it."""

    def __init__(self, offset: int, partition: int = 0, size_bytes: int = 10) -> None:
        self._offset, self._partition, self._size_bytes = offset, partition, size_bytes

    def __len__(self) -> int:
        return self._size_bytes

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return "in"

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset


def _cycle(next_offset: int = 4) -> Cycle:
    return Cycle(offsets={("in", 0): next_offset}, epochs={("in", 0): 7})


def _commit(cycle: Cycle) -> Steps:
    steps: Any = Steps()
    commit_cycle(cycle, steps, steps, steps, Failpoints(""))
    recorded: Steps = steps
    return recorded


def _settings(run: Run) -> Settings:
    return Settings(kafka_bootstrap=run.broker, session_timeout_ms=6_000, transaction_timeout_ms=5_000)


def _producer(run: Run) -> TransactionProducer:
    gate: Callable[[str], None] = lambda _: None  # noqa: E731
    return TransactionProducer(run.name, _settings(run), Failpoints(""), gate)


def test_a_backlog_of_large_chunks_is_decided_in_rounds() -> None:
    """Regression: 1,000 packed records made one transaction that outlived its time-out, and so did the next one."""
    chunks = [_chunk_of(bytes_) for bytes_ in (300_000, 300_000, 100_000, 524_288, 10)]
    sizes = [[sum(len(record) for record in chunk.records) for chunk in round_] for round_ in engine.rounds(chunks)]
    assert sizes == [[300_000], [300_000, 100_000], [524_288], [10]]
    assert engine.rounds([]) == []


def _chunk_of(size_bytes: int) -> Chunk:
    def produce(*_: object, **__: object) -> None:
        raise AssertionError("nothing is produced here")

    return Chunk("commands", 0, cast(Any, [bytes(size_bytes)]), produce)
