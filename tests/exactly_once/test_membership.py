"""Who owns a shard: rebalances in and out, whole shards only, metadata from one thread, a live member at the commit."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Collection

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import NewTopic

from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.membership import Membership, consumer_configuration, parse_group_metadata
from runtime.exactly_once.restore import Partition
from runtime.settings import Settings
from tests.exactly_once.application.account_sums import AccountSums
from tests.exactly_once.application.processes import Run, create_topics


@pytest.mark.parametrize(
    ("protocol", "mode"),
    [
        ("classic", "faust"),
        ("consumer", "plain"),
        pytest.param("classic", "plain", marks=pytest.mark.night),
        pytest.param("consumer", "faust", marks=pytest.mark.night),
    ],
)
def test_workers_come_and_go_under_load(run: Run, protocol: str, mode: str) -> None:
    """Commits in the revocation, restores in the assignment; with Faust its flow is stopped and started in between.

    KIP-848 may bump the member's epoch between the metadata and the commit: the broker refuses, the worker ends
    itself and its next incarnation redoes the cycle. The classic protocol must not end anybody.
    """
    dynamic = {"MILLRACE_GROUP_PROTOCOL": protocol, "MILLRACE_STATIC_MEMBERSHIP": "false"}
    stays = [run.start(0, mode, **dynamic)]

    def supervise() -> None:
        if protocol == "consumer" and stays[-1].has_crashed():
            assert "ILLEGAL_GENERATION" in stays[-1].stderr
            stays.append(run.start(0, mode, **dynamic))

    run.fund()
    run.transfer(150, rate_per_s=150)
    comes = run.start(1, mode, **dynamic)
    run.transfer(450, rate_per_s=150)
    assert comes.stop() == 0 or (protocol == "consumer" and "ILLEGAL_GENERATION" in comes.stderr), comes.stderr
    run.transfer(150, rate_per_s=150)
    run.wait_decided(supervise)
    assert stays[-1].stop() == 0, stays[-1].stderr
    assert protocol == "consumer" or len(stays) == 1
    assert run.differences() == []


def test_the_shard_of_a_killed_worker_moves_when_its_session_ends(run: Run) -> None:
    run.fund()
    killed = run.start(0)
    run.start(1)
    run.transfer(200, rate_per_s=100)
    killed.signal(signal.SIGKILL)
    run.transfer(50)
    run.wait_decided()
    assert run.differences() == []


def test_cooperative_sticky_is_refused_at_start(run: Run) -> None:
    worker = run.start(MILLRACE_PARTITION_ASSIGNOR="cooperative-sticky")
    assert worker.exited() == EXIT_CRASHED
    assert "different workers" in worker.stderr


def test_an_incomplete_shard_is_refused(broker: str, run: Run) -> None:
    """Input topics with different partition counts: shard 4 would have commands and no credits."""
    name = f"{run.name}-torn"
    topics = AccountSums(name).topics
    counts = {topics.commands: 5}
    create_topics(broker, [NewTopic(topic, counts.get(topic, 4), 1) for topic in topics])
    command = [sys.executable, "-m", "tests.exactly_once.application.worker", name, "plain"]
    worker = run.spawn(command, 0)
    assert worker.exited() == EXIT_CRASHED
    assert "shards [4] are incomplete" in worker.stderr


def test_metadata_for_a_commit_never_asks_the_client_during_a_rebalance_callback(run: Run) -> None:
    """`consumer_group_metadata()` on another thread blocks until the callback returns: a commit inside it, for ever."""
    answered: list[tuple[int, str]] = []
    member = _member(run)

    def commit_on_another_thread(_: Collection[Partition]) -> None:
        thread = threading.Thread(
            target=lambda: answered.append(parse_group_metadata(member.group_metadata())), daemon=True
        )
        thread.start()
        thread.join(5)

    member.on_assigned = commit_on_another_thread
    member.join()
    _poll_until(member, lambda: bool(member.epochs))
    member.leave()
    assert len(answered) == 1
    generation, name = answered[0]
    assert generation >= 0
    assert name != ""


def test_metadata_is_cached_on_the_consuming_thread_alone(run: Run, crashes: list[str]) -> None:
    member = _member(run)
    member.join()
    thread = threading.Thread(target=lambda: _swallow(member._cache_metadata))
    thread.start()
    thread.join(5)
    member.leave()
    assert any("consuming thread" in reason for reason in crashes)


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"CGMDv2:\xff\xff\xff\xffgroup\0\0\1",  # before the join: the broker would take such a commit from anyone
        b"CGMDv2:\x03\0\0\0group\0\0\1",  # max.poll exceeded: generation kept, member id gone
    ],
)
def test_a_commit_without_membership_is_refused(run: Run, crashes: list[str], metadata: bytes) -> None:
    member = _member(run)
    member._metadata = metadata
    _swallow(member.group_metadata)
    assert any("refusing to commit" in reason for reason in crashes)


def test_offsets_are_asked_for_until_the_coordinator_has_moved(run: Run) -> None:
    """For some 100 ms after the start of a broker; each such answer used to cost the start of a worker."""
    answers: list[object] = [
        KafkaError(KafkaError.NOT_COORDINATOR),
        KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS),
    ]

    class Moving:
        def committed(self, asked: list[TopicPartition], timeout_s: float) -> list[TopicPartition]:
            if answers:
                raise KafkaException(answers.pop())
            return [TopicPartition(partition.topic, partition.partition, 7) for partition in asked]

    member = _member(run)
    assert member._committed(Moving(), [TopicPartition("in", 3)]) == {3: {"in": 7}}
    assert answers == []
    answers.append(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException):
        member._committed(Moving(), [TopicPartition("in", 3)])


def test_lost_partitions_end_the_process(run: Run, crashes: list[str]) -> None:
    member = _member(run)
    _swallow(lambda: member._lost(None, []))
    assert any("partitions lost" in reason for reason in crashes)


def test_a_worker_that_decides_for_too_long_ends_itself(run: Run) -> None:
    """max.poll.interval exceeded: the group has moved on, whatever the worker still believes."""
    run.fund()
    worker = run.start(0, "plain", MILLRACE_MAX_POLL_INTERVAL_MS="6000", ACCOUNT_SUMS_BLOCK_S="2.5")
    assert worker.exited() == EXIT_CRASHED, worker.stderr
    run.start(0)
    run.wait_decided()
    assert run.differences() == []


def test_only_range_may_assign() -> None:
    for assignor in ("cooperative-sticky", "roundrobin", "uniform"):
        with pytest.raises(ValueError, match="different workers"):
            consumer_configuration("application", Settings(partition_assignor=assignor))
    for protocol in ("classic", "consumer"):
        assert "range" in consumer_configuration("application", Settings(group_protocol=protocol)).values()


def test_a_poll_returns_what_is_there_without_waiting_for_more(run: Run) -> None:
    """`consume(n, timeout)` waits out its time-out unless n records are there: two hops of 50 ms each."""
    member = _member(run)
    member.join()
    _poll_until(member, lambda: bool(member.epochs))
    run.fund()
    time.sleep(0.5)
    begun_s = time.monotonic()
    records = member.poll(30.0, 1_000)
    member.leave()
    assert records
    assert time.monotonic() - begun_s < 10


def _member(run: Run) -> Membership:
    settings = Settings(kafka_bootstrap=run.broker, session_timeout_ms=6_000, transaction_timeout_ms=5_000)
    return Membership(run.name, AccountSums(run.name), settings, Failpoints(""))


def _poll_until(member: Membership, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        member.poll(0.1, 100)


def _swallow(call: Callable[[], object]) -> None:
    with pytest.raises(SystemExit):
        call()
