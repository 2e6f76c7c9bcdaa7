"""Goal: no step of a transaction is waited for without an end, and any doubt about one ends the process.

Method: the slot's producer over a client that fails as it is told to, and a clock that moves only when somebody waits.
"""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from runtime.exactly_once import transaction as under_test
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.transaction import (
    INIT_DEADLINE_S,
    SEND_OFFSETS_DEADLINE_S,
    SLOW_COMMIT_S,
    STEP_DEADLINE_S,
    TransactionProducer,
    producer_configuration,
    transactional_id,
)
from runtime.settings import Settings
from tests.exactly_once.units.scripted import Producer


class NoWatchdog:
    """Its thread looks at the real clock; it has tests of its own."""

    def within(self, _step: str, _seconds: float) -> "NoWatchdog":
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Slot:
    """A started producer, its client, and how far the clock has gone."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.client = Producer()
        self.made = 0
        self.gates: list[str] = []
        self.now_s = 0.0
        patch.setattr(under_test, "Producer", self._producer)
        patch.setattr(under_test, "Watchdog", NoWatchdog)
        patch.setattr(under_test, "time", self)
        self.producer = TransactionProducer("app", Settings(slot=3), Failpoints(""), self._gate)

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def _producer(self, _: Any) -> Producer:
        self.made += 1
        return self.client

    def _gate(self, name: str) -> None:
        self.client.calls.append("gate")
        self.gates.append(name)


@pytest.fixture
def slot(monkeypatch: pytest.MonkeyPatch, crashes: list[str]) -> Slot:
    made = Slot(monkeypatch)
    made.producer.start()
    made.client.calls.clear()
    return made


def retriable(times: int = 1) -> list[Exception]:
    return [KafkaException(KafkaError(KafkaError._TIMED_OUT, "timed out", False, True)) for _ in range(times)]


def final() -> list[Exception]:
    return [KafkaException(KafkaError(KafkaError._FENCED, "fenced", True))]


def send(producer: TransactionProducer) -> None:
    producer.send_offsets([], b"metadata")


def test_the_predecessor_is_fenced_before_the_gate_and_both_before_the_first_transaction(
    monkeypatch: pytest.MonkeyPatch, crashes: list[str]
) -> None:
    made = Slot(monkeypatch)
    made.producer.start()
    assert made.client.calls == ["init", "gate", "begin"]
    assert made.gates == ["app.3"]


def test_a_gate_that_does_not_open_begins_nothing(monkeypatch: pytest.MonkeyPatch, crashes: list[str]) -> None:
    made = Slot(monkeypatch)

    def closed(_: str) -> None:
        raise TimeoutError("an earlier transaction has not ended")

    monkeypatch.setattr(made.producer, "_gate", closed)
    with pytest.raises(TimeoutError):
        made.producer.start()
    assert "begin" not in made.client.calls


STEPS = [("send_offsets", SEND_OFFSETS_DEADLINE_S), ("commit", STEP_DEADLINE_S), ("init", INIT_DEADLINE_S)]


def take(slot: Slot, step: str) -> None:
    if step == "send_offsets":
        send(slot.producer)
    elif step == "commit":
        slot.producer.commit()
    else:
        slot.producer.start()


@pytest.mark.parametrize("step", [name for name, _ in STEPS])
def test_a_step_that_may_be_repeated_is_repeated(slot: Slot, crashes: list[str], step: str) -> None:
    slot.client.failures[step] = retriable(3)
    take(slot, step)
    assert slot.client.calls.count(step) == 4
    assert crashes == []


@pytest.mark.parametrize(("step", "deadline_s"), STEPS)
def test_a_step_is_repeated_only_until_its_deadline(
    slot: Slot, crashes: list[str], step: str, deadline_s: float
) -> None:
    slot.client.failures[step] = retriable(10_000)
    with pytest.raises(SystemExit):
        take(slot, step)
    assert slot.now_s == pytest.approx(deadline_s, abs=0.1)
    assert "of app.3" in crashes[0]


@pytest.mark.parametrize("step", [name for name, _ in STEPS])
def test_a_fenced_step_is_not_repeated(slot: Slot, crashes: list[str], step: str) -> None:
    slot.client.failures[step] = final()
    with pytest.raises(SystemExit, match="fenced"):
        take(slot, step)
    assert slot.client.calls.count(step) == 1


def test_records_wait_for_room_in_the_queue(slot: Slot, crashes: list[str]) -> None:
    slot.client.failures["produce"] = [BufferError(), BufferError()]
    slot.producer.open()
    slot.producer.produce("out", b"value", partition=0)
    assert slot.client.calls == ["produce", "poll", "produce", "poll", "produce"]


def test_room_that_never_comes_ends_the_process(
    slot: Slot, crashes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slot.client.failures["produce"] = [BufferError()] * 10_000
    monkeypatch.setattr(slot.client, "poll", slot.sleep)
    slot.producer.open()
    with pytest.raises(SystemExit, match="producer queue full for 10 s"):
        slot.producer.produce("out", b"value", partition=0)


@pytest.mark.parametrize("moment", ["before", "closed", "flushed"])
def test_a_record_outside_a_cycle_is_a_bug_of_the_stage(slot: Slot, moment: str) -> None:
    if moment != "before":
        slot.producer.open()
    if moment == "closed":
        slot.producer.close()
    if moment == "flushed":
        slot.producer.flush()
    with pytest.raises(RuntimeError, match="belong to no cycle"):
        slot.producer.produce("out", b"value", partition=0)
    assert "produce" not in slot.client.calls


def test_records_that_are_not_on_the_broker_are_not_committed(slot: Slot, crashes: list[str]) -> None:
    slot.client.left_unflushed = 2
    with pytest.raises(SystemExit, match="2 records not on the broker after 15 s"):
        slot.producer.flush()


@pytest.mark.parametrize(
    ("took_s", "trouble", "renewed"),
    [(0.01, False, False), (SLOW_COMMIT_S, False, False), (SLOW_COMMIT_S + 0.01, False, True), (0.01, True, True)],
)
def test_only_a_doubtful_commit_costs_a_new_epoch(slot: Slot, took_s: float, trouble: bool, renewed: bool) -> None:
    if trouble:
        slot.client.failures["commit"] = retriable()
    slot.producer.commit()
    slot.producer.renew(took_s)
    assert (slot.made, slot.producer.rotations) == ((2, 1) if renewed else (1, 0))
    assert slot.client.calls[-1] == "begin", "either way the next transaction is open"


def test_an_epoch_is_renewed_once_for_one_doubt(slot: Slot) -> None:
    slot.producer._on_error(KafkaError(KafkaError._TRANSPORT))
    for _ in range(3):
        slot.producer.commit()
        slot.producer.renew(0.01)
    assert slot.producer.rotations == 1


def test_a_fatal_error_of_the_client_ends_the_process(slot: Slot, crashes: list[str]) -> None:
    with pytest.raises(SystemExit):
        slot.producer._on_error(KafkaError(KafkaError._FATAL, "fenced", True))
    assert crashes[0].startswith("producer app.3: ")


def test_each_slot_and_application_has_a_name_of_its_own() -> None:
    names = {transactional_id(application, slot) for application in ("a", "b") for slot in range(3)}
    assert len(names) == 6


def test_the_client_is_told_what_the_guarantee_rests_on() -> None:
    configuration = producer_configuration("app.3", Settings(transaction_timeout_ms=9_000))
    assert configuration["acks"] == "all"
    assert configuration["enable.idempotence"] is True
    assert configuration["transactional.id"] == "app.3"
    assert configuration["transaction.timeout.ms"] == 9_000
    assert "message.timeout.ms" not in configuration, "the client takes the transaction's"
