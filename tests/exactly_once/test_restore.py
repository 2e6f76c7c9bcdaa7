"""A shard comes back exactly as its ledger says, at the offsets that its state has decided, or not at all."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.membership import Membership
from runtime.exactly_once.restore import PartitionLog, RestoreConsumer, past_retention, restore_shards
from runtime.settings import Settings
from tests.exactly_once.application.account_sums import AccountSums
from tests.exactly_once.application.processes import Run


class Decided:
    """A store whose log says that these offsets are decided."""

    input_topics = ("in",)

    def __init__(
        self, decided: Mapping[str, int], changelog_topics: tuple[str, ...], numbered_topics: tuple[str, ...] = ()
    ) -> None:
        self.decided = decided
        self.numbered_topics = numbered_topics
        self.changelog_topics = changelog_topics
        self.forgotten: list[int] = []

    def forget(self, shard: int) -> None:
        self.forgotten.append(shard)

    def restore(self, shard: int, log: Any) -> Mapping[str, int]:
        return self.decided

    def before_commit(self, shards: Any, produce: Any) -> None: ...

    def after_commit(self, shards: Any) -> None: ...


def test_state_and_offsets_that_agree_go_on(run: Run) -> None:
    assert _resumed(run, committed=9, decided={"in": 9}) == 9
    assert _resumed(run, committed=None, decided={}) == 0


def test_expired_offsets_are_taken_from_the_log_with_a_warning(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert _resumed(run, committed=None, decided={"in": 9}) == 9
    assert "no committed offset" in caplog.text


@pytest.mark.parametrize(("committed", "decided"), [(9, {"in": 8}), (8, {"in": 9}), (9, {}), (0, {"in": 9})])
def test_any_other_difference_is_refused(run: Run, committed: int, decided: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="move in one transaction"):
        _resumed(run, committed, decided)


def test_a_stage_without_state_stands_on_its_offsets(run: Run) -> None:
    with _consumer(run) as consumer:
        resumed = restore_shards({0: {"in": 5}, 1: {"in": None}}, Decided({}, ()), consumer)
    assert resumed == {0: {"in": 5}, 1: {"in": 0}}


def test_what_retention_deleted_is_passed_only_where_records_are_numbered(run: Run) -> None:
    """The marker behind the last record is deleted with it: the log then begins behind the committed offset."""
    producer = _transactional(run)
    _write(producer, run, [b"1", b"2"], commit=True)
    topic = run.topics.ledger
    admin, begin = AdminClient({"bootstrap.servers": run.broker}), 0
    while begin < 3:  # the marker may be written a moment later
        [deleted] = admin.delete_records([TopicPartition(topic, 0, -1)]).values()
        begin = deleted.result(10).low_watermark
    with _consumer(run) as consumer:
        resumed = {0: {topic: 2}}
        assert past_retention(resumed, Decided({}, (), (topic,)), consumer) == {0: {topic: 3}}
        assert past_retention({0: {topic: 3}}, Decided({}, ()), consumer) == {0: {topic: 3}}
        with pytest.raises(ValueError, match="begins at 3 and is decided up to 2"):
            past_retention(resumed, Decided({}, ()), consumer)


def test_committed_records_alone_are_restored_and_aborted_tails_end_it(run: Run) -> None:
    """Markers and aborted records lie at the end: the restore ends at the watermark without a message there."""
    producer = _transactional(run)
    _write(producer, run, [b"1", b"2"], commit=True)
    _write(producer, run, [b"aborted"], commit=False)
    with _consumer(run) as consumer:
        log = PartitionLog(0, (run.topics.ledger,), consumer)
        assert [record.value() for record in log.read(run.topics.ledger)] == [b"1", b"2"]
        assert [record.value() for record in log.read(run.topics.ledger, 1)] == [b"2"]
        assert [record.value() for record in log.read(run.topics.ledger, 5)] == []


def test_records_hidden_by_an_open_transaction_are_waited_for_and_not_for_ever(run: Run) -> None:
    producer = _transactional(run)
    producer.begin_transaction()
    producer.produce(run.topics.ledger, b"open", partition=0)
    producer.flush()
    with _consumer(run) as consumer:
        consumer.stalled_s = 1.0
        log = PartitionLog(0, (run.topics.ledger,), consumer)
        with pytest.raises(TimeoutError, match="hanging transaction"):
            list(log.read(run.topics.ledger))
        producer.commit_transaction()
        assert [record.value() for record in log.read(run.topics.ledger)] == [b"open"]


def test_a_start_that_retention_removed_is_refused(run: Run) -> None:
    with _consumer(run) as consumer:
        log = PartitionLog(0, (run.topics.ledger,), consumer)
        log._ends[run.topics.ledger] = (10, 20)
        with pytest.raises(ValueError, match="begins at 10; the restore needs 3"):
            list(log.read(run.topics.ledger, 3))


def test_watermarks_are_asked_again_while_a_partition_has_no_leader(run: Run) -> None:
    with _consumer(run) as consumer:
        real = consumer._watermarks
        consumer._watermarks = _LeaderlessAtFirst(real)
        assert consumer.watermarks((run.topics.ledger, 0)) == (0, 0)
        consumer._watermarks = real


def test_a_shard_nobody_else_advanced_is_kept_in_memory(run: Run) -> None:
    """A rebalance takes every shard away and gives most of them back: only a shard that moved on is restored."""
    topic = run.topics.commands
    store = Decided({topic: 9}, (run.topics.ledger,))
    settings = Settings(kafka_bootstrap=run.broker, session_timeout_ms=6_000, transaction_timeout_ms=5_000)
    member = Membership(run.name, store, settings, Failpoints(""))
    member.committed_up_to({(topic, 0): 7, (topic, 1): 7})
    store.forgotten.clear()
    assert member._restored({0: {topic: 7}, 1: {topic: 9}}) == {0: {topic: 7}, 1: {topic: 9}}
    assert store.forgotten == [1]


class _LeaderlessAtFirst:
    """A partition just made: NOT_LEADER for its first two answers."""

    def __init__(self, real: Any) -> None:
        self._real, self._refusals = real, 2

    def get_watermark_offsets(self, *arguments: Any, **options: Any) -> Any:
        if self._refusals:
            self._refusals -= 1
            raise KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))
        return self._real.get_watermark_offsets(*arguments, **options)


def _consumer(run: Run) -> RestoreConsumer:
    settings = Settings(kafka_bootstrap=run.broker, session_timeout_ms=6_000, transaction_timeout_ms=5_000)
    return RestoreConsumer(run.name, settings, Failpoints(""))


def _resumed(run: Run, committed: int | None, decided: dict[str, int]) -> int:
    with _consumer(run) as consumer:
        store = Decided(decided, (run.topics.ledger,))
        return restore_shards({0: {"in": committed}}, store, consumer)[0]["in"]


def _transactional(run: Run) -> Any:
    producer = Producer({"bootstrap.servers": run.broker, "transactional.id": f"{run.name}.test"})
    producer.init_transactions(10)
    return producer


def _write(producer: Any, run: Run, values: list[bytes], *, commit: bool) -> None:
    producer.begin_transaction()
    for value in values:
        producer.produce(run.topics.ledger, value, partition=0)
    producer.flush()
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()


def test_the_store_of_the_application_restores_what_it_wrote(run: Run) -> None:
    run.fund()
    run.transfer(50)
    run.start()
    run.wait_decided()
    store = AccountSums(run.name)
    with _consumer(run) as consumer:
        decided = store.restore(0, PartitionLog(0, store.changelog_topics, consumer))
    assert decided[run.topics.commands] > 0
    assert store.balances[0]
