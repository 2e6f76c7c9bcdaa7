"""The watch: an alarm while readers stand still behind an open transaction, and none before or after."""

import json
import subprocess
import sys
from collections.abc import Iterator
from os import environ

import pytest
from confluent_kafka import Producer

from millrace.environment import LocalEnvironment
from millrace.environment.layout import home_of
from millrace.watch import Watch, read_alarms
from runtime.exactly_once.broker import hanging, transaction_admin
from schemas.topics import LEDGER
from tests.support.waiting import eventually


@pytest.fixture
def watch(stage: LocalEnvironment) -> Iterator[Watch]:
    """With a transaction timeout of one second, so that two of them pass quickly."""
    settings = stage.settings.model_copy(update={"transaction_timeout_ms": 1_000})
    made = Watch(settings, home_of(stage.settings), scan_every_s=0)
    yield made
    made.close()


def test_an_open_transaction_raises_the_alarm_and_its_end_ends_it(stage: LocalEnvironment, watch: Watch) -> None:
    assert watch.look() == []
    producer = Producer({"bootstrap.servers": stage.kafka_bootstrap, "transactional.id": "test.watch"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(LEDGER.name, b"never committed", partition=3)
    producer.flush(10)
    eventually(lambda: [alarm.text for alarm in watch.look()] == [f"{LEDGER.name}[3]: readers stand still"])
    assert read_alarms(home_of(stage.settings)) == [f"{LEDGER.name}[3]: readers stand still"]
    producer.abort_transaction(10)
    eventually(lambda: watch.look() == [])
    assert read_alarms(home_of(stage.settings)) == []


def test_brokers_that_cannot_be_asked_are_an_alarm(stage: LocalEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hanging, "ASK_TIMEOUT_S", 1)
    monkeypatch.setattr(transaction_admin, "METADATA_TIMEOUT_S", 1)
    nowhere = stage.settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9"})
    watch = Watch(nowhere, home_of(stage.settings))
    assert watch.look() == []
    [alarm] = watch.look()
    assert "the brokers can't be asked" in alarm.text
    watch.close()


def test_the_command_says_that_nothing_hangs(stage: LocalEnvironment) -> None:
    """What it says of one that does is tested where one can be made: tests/exactly_once/test_broker_checks.py."""
    command = [sys.executable, "-m", "millrace", "transactions", "hanging", "--json"]
    variables = {**environ, "KAFKA_BOOTSTRAP": stage.kafka_bootstrap}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
