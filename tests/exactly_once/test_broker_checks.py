"""What the engine asks of the broker: its release, transactions left open, and the decision that ends them."""

import struct
import time
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Producer

from runtime.exactly_once.broker import broker_version, hanging, start_gate, transaction_admin, wire
from runtime.exactly_once.broker.hanging import Decision, StableOffsetWatch, decide, finish_as_decided
from runtime.exactly_once.broker.transaction_admin import IncompleteView, OpenProducer
from runtime.exactly_once.broker.transaction_log import (
    TransactionLog,
    TransactionState,
    decode_state,
    read_transaction_log,
)
from runtime.kafka_client import Brokers
from tests.exactly_once.application.processes import Run

PARTITION = ("topic", 0)


def test_the_brokers_release_is_read_and_a_good_one_passes(broker: str) -> None:
    level = broker_version.metadata_level(Brokers(broker))
    assert level >= 25  # 4.0
    broker_version.refuse_broken_broker(Brokers(broker), accept=level in broker_version.FEATURE_LEVELS_OF_4_3)


def test_a_release_that_loses_markers_is_refused_unless_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_version, "metadata_level", lambda _: 30)
    with pytest.raises(RuntimeError, match="KAFKA-20734"):
        broker_version.refuse_broken_broker(Brokers("host:1"), accept=False)
    broker_version.refuse_broken_broker(Brokers("host:1"), accept=True)


def test_a_broker_that_starts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ended instead came back seconds after the broker did."""
    answers: list[OSError | int] = [OSError("refused"), OSError("refused"), 25]

    def level_of(_: str) -> int:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(broker_version, "metadata_level", level_of)
    broker_version.refuse_broken_broker(Brokers("host:1"), accept=False)
    assert answers == []


def test_a_broker_that_never_answers_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_version, "START_DEADLINE_S", 0.3)
    with pytest.raises(OSError, match=r"no broker of 127\.0\.0\.1:9 answers"):
        broker_version.refuse_broken_broker(Brokers("127.0.0.1:9"), accept=False)


def test_a_broker_that_names_no_release_is_refused() -> None:
    answer = wire.Reader(struct.pack(">h", 35) + wire.varint(1) + struct.pack(">i", 0) + wire.varint(0))
    with pytest.raises(RuntimeError, match="KRaft"):
        broker_version.supported_level(answer)


def test_an_open_transaction_is_seen_by_partition_and_by_coordinator(run: Run) -> None:
    producer, name = _open_transaction(run)
    view = transaction_admin.cluster(Brokers(run.broker))
    found = transaction_admin.transaction(view, name)
    assert found.state == "Ongoing"
    assert found.partitions == {(run.topics.ledger, 1)}
    opened = [entry for entry in transaction_admin.open_producers(view) if entry.producer_id == found.producer_id]
    assert [entry.partition for entry in opened] == [(run.topics.ledger, 1)]
    assert found in transaction_admin.transactions(view)
    producer.abort_transaction(10)


def test_a_transaction_under_way_is_not_hanging(run: Run) -> None:
    producer, _ = _open_transaction(run)
    time.sleep(0.2)
    suspects = hanging.scan_hanging(Brokers(run.broker), age_ms=100)
    assert (run.topics.ledger, 1) not in [suspect.partition for suspect in suspects]
    producer.commit_transaction(10)


def test_a_stray_write_is_found_twice_and_finished_as_decided(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction whose coordinator has forgotten the partition: what is left behind by a dropped marker."""
    producer, name = _open_transaction(run)
    forgotten = transaction_admin.transactions
    monkeypatch.setattr(
        hanging, "transactions", lambda view: [t for t in forgotten(view) if t.transactional_id != name]
    )
    time.sleep(0.4)
    found = [
        p
        for p in hanging.find_hanging(Brokers(run.broker), 100, confirm_after_s=0.2)
        if p.partition[0] == run.topics.ledger
    ]
    assert [entry.partition for entry in found] == [(run.topics.ledger, 1)]
    verdicts = finish_as_decided(Brokers(run.broker), found)
    # the coordinator still knows it as ongoing: its decision is not on record, so nothing is written
    assert [verdict.decision for verdict in verdicts] == [Decision.REFUSED]
    producer.commit_transaction(10)


def test_a_marker_ends_an_open_transaction_as_it_was_decided(run: Run) -> None:
    producer, name = _open_transaction(run)
    view = transaction_admin.cluster(Brokers(run.broker))
    own = transaction_admin.transaction(view, name)
    opened = next(entry for entry in transaction_admin.open_producers(view) if entry.producer_id == own.producer_id)
    transaction_admin.write_marker(view, opened, opened.epoch, commit=True)
    left = [entry for entry in transaction_admin.open_producers(view) if entry.producer_id == own.producer_id]
    assert left == []
    producer.abort_transaction(10)


def test_the_gate_lets_a_fresh_producer_pass_and_refuses_a_second_live_one(run: Run) -> None:
    producer, name = _open_transaction(run)
    with pytest.raises(RuntimeError, match="same slot"):
        start_gate.pass_start_gate(Brokers(run.broker), name)
    again = _transactional(run, name)  # fences the first: its transaction is aborted, its state is Empty
    start_gate.pass_start_gate(Brokers(run.broker), name)
    again.begin_transaction()
    del producer


def test_the_gate_finishes_what_is_open_or_refuses(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = [_opened()]

    def finish(*_: object) -> list[hanging.Verdict]:
        opened.clear()
        return [_verdict(Decision.COMMIT)]

    monkeypatch.setattr(start_gate, "_look", lambda *_: list(opened))
    monkeypatch.setattr(start_gate, "finish_as_decided", lambda *_: [_verdict(Decision.REFUSED)])
    with pytest.raises(RuntimeError, match="operator must look"):
        start_gate.pass_start_gate(Brokers(run.broker), "id")
    monkeypatch.setattr(start_gate, "finish_as_decided", lambda *_: [_verdict(Decision.COMMIT)])
    with pytest.raises(RuntimeError, match="still open"):
        start_gate.pass_start_gate(Brokers(run.broker), "id")
    monkeypatch.setattr(start_gate, "finish_as_decided", finish)
    start_gate.pass_start_gate(Brokers(run.broker), "id")


@pytest.mark.parametrize(
    ("states", "whole", "decision"),
    [
        ([("Ongoing", 3), ("PrepareCommit", 3), ("CompleteCommit", 3)], True, Decision.COMMIT),
        ([("Ongoing", 3), ("PrepareAbort", 4)], True, Decision.ABORT),
        ([("PrepareAbort", 3), ("Ongoing", 3), ("PrepareCommit", 3)], False, Decision.COMMIT),
        ([("Ongoing", 3)], True, Decision.REFUSED),
        ([("PrepareCommit", 2)], True, Decision.ABORT),  # of an earlier epoch: this write is in no transaction
        ([], True, Decision.ABORT),
        ([], False, Decision.REFUSED),  # compacted: absence proves nothing
    ],
)
def test_a_hanging_transaction_ends_as_its_coordinator_decided(
    states: list[tuple[str, int]], whole: bool, decision: Decision
) -> None:
    log = TransactionLog(
        tuple(TransactionState("id", 77, epoch, state, frozenset({PARTITION})) for state, epoch in states), whole
    )
    assert [verdict.decision for verdict in decide(log, [_opened()])] == [decision]


def test_the_coordinators_log_is_read_with_its_decisions(run: Run) -> None:
    producer, name = _open_transaction(run)
    producer.commit_transaction(10)
    states = [state for state in read_transaction_log(Brokers(run.broker)).states if state.transactional_id == name]
    assert "PrepareCommit" in [state.state for state in states]
    assert (run.topics.ledger, 1) in states[1].partitions


def test_both_versions_of_the_coordinators_record_are_decoded() -> None:
    key = struct.pack(">hh", 0, 2) + b"id"
    head = struct.pack(">qhib", 77, 3, 60_000, 2)
    flexible = wire.array([0], lambda _: wire.text("topic") + wire.array([0], wire.int32) + b"\0")
    plain = struct.pack(">i", 1) + struct.pack(">h", 5) + b"topic" + struct.pack(">ii", 1, 0)
    for version, partitions in ((0, plain), (1, flexible)):
        state = decode_state(key, struct.pack(">h", version) + head + partitions)
        assert state == TransactionState("id", 77, 3, "PrepareCommit", frozenset({PARTITION}))


def test_a_stable_offset_that_stands_still_raises_the_alarm(run: Run) -> None:
    producer, _ = _open_transaction(run)
    watch = StableOffsetWatch(
        Brokers(run.broker), [(run.topics.ledger, 1), (run.topics.ledger, 0)], transaction_timeout_ms=100
    )
    assert watch.observe() == []
    time.sleep(0.3)
    stalled = watch.observe()
    assert [(entry.partition, entry.stable_offset) for entry in stalled] == [((run.topics.ledger, 1), 0)]
    producer.commit_transaction(10)
    time.sleep(0.3)
    assert watch.observe() == []
    watch.close()


def test_a_leaderless_partition_means_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    topic = SimpleNamespace(partitions={0: SimpleNamespace(leader=-1)})
    metadata = SimpleNamespace(brokers={}, topics={"topic": topic})
    client = SimpleNamespace(list_topics=lambda timeout: metadata)
    monkeypatch.setattr(transaction_admin, "AdminClient", lambda _: client)
    with pytest.raises(IncompleteView, match="without a leader"):
        transaction_admin.cluster(Brokers("127.0.0.1:1"))


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 1 << 31])
def test_varints_come_back(value: int) -> None:
    assert wire.Reader(wire.varint(value)).varint() == value


def _opened() -> OpenProducer:
    return OpenProducer(PARTITION, 77, 3, 0, 0, 5)


def _verdict(decision: Decision) -> hanging.Verdict:
    return hanging.Verdict(_opened(), decision, 3)


def _transactional(run: Run, name: str) -> Any:
    producer = Producer({"bootstrap.servers": run.broker, "transactional.id": name, "log_level": 0})
    producer.init_transactions(20)
    return producer


def _open_transaction(run: Run) -> tuple[Any, str]:
    name = f"{run.name}.open"
    producer = _transactional(run, name)
    producer.begin_transaction()
    producer.produce(run.topics.ledger, b"open", partition=1)
    producer.flush()
    return producer, name
