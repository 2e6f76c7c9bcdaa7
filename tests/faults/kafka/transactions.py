"""Transactions that hang, or would on a broker that loses markers: found, explained and ended as they were decided."""

import json
import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from millrace.cli import EXIT_ALARM
from millrace.environment import LocalEnvironment
from millrace.environment.layout import home_of
from millrace.watch import read_alarms
from runtime.exactly_once.broker import transaction_admin
from runtime.kafka_client import Brokers
from schemas import topics
from tests.faults.installation import TRANSACTION_TIMEOUT_MS, Installation
from tests.faults.kafka import cluster
from tests.faults.kafka.stray_write import write_stray
from tests.faults.scenario import Fault, fault_now

ALARM_TIMEOUT_S = 2 * TRANSACTION_TIMEOUT_MS / 1_000 + 20
"""Two transaction timeouts, looked at every 5 s, by a process that starts first."""

VERDICT_TIMEOUT_S = 3 * TRANSACTION_TIMEOUT_MS / 1_000 + 15
COMMAND_TIMEOUT_S = 60
GONE_TIMEOUT_S = 30.0


def hanging(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """A stray write stops every reader of a ledger partition: `millrace watchdog` raises the alarm, `millrace
    transactions hanging` explains and ends it; nothing is lost, and the stray record is never seen.
    """
    env, shard = installation.env, rng.randrange(installation.env.settings.shards)
    watch = installation.service("watch", "watchdog")
    try:
        time.sleep(rng.uniform(1, 3))
        name = f"faults.stray.{secrets.token_hex(4)}"
        write_stray(env.kafka_bootstrap, name, topics.LEDGER.name, shard, b"not a ledger record")
        place = f"{topics.LEDGER.name}[{shard}]"
        yield fault_now(f"a stray write to {place}", _alarm_missing(env, place))
        yield fault_now("transactions hanging", _explanation_missing(env, shard))
        done, rows = _hanging_command(env, "--finish")
        ended = done == 0 and [row["ended"] for row in rows] == [True]
        yield fault_now("transactions hanging --finish", "" if ended else f"exit code {done}, {rows}")
    finally:
        watch.end()
    time.sleep(3)


def marker_of_a_leaderless_partition(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """A transaction ends while one of its partitions has no leader. Kafka 4.3.1 drops that marker and calls the
    transaction complete (KAFKA-20734); ours keeps it until the leader is back."""
    env, commit = installation.env, rng.choice([True, False])
    name = f"faults.marker.{secrets.token_hex(4)}"
    client = cluster.admin(env)
    client.create_topics([NewTopic(name, 3, replica_assignment=[[1], [2], [3]])])[name].result(20)
    producer = Producer({"bootstrap.servers": env.kafka_bootstrap, "transactional.id": name, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    for number in range(3):
        producer.produce(name, b"decided", partition=number)
    producer.flush(20)
    coordinator = cluster.leader_of(env, cluster.hashed_place(env, cluster.TRANSACTION_STATE, name))
    victim = rng.choice([node_id for node_id in (1, 2, 3) if node_id != coordinator])
    with cluster.kept_down(env, cluster.broker_names(env)[victim - 1], kill=True):
        yield fault_now(f"kill -9 broker {victim}, which alone has a partition of an open transaction")
        _wait_leaderless(env, name, victim - 1)
        _end(producer, commit=commit)
    cluster.wait_in_sync(env)
    seen = _visible(env, name)
    wanted = [1, 1, 1] if commit else [0, 0, 0]
    yield fault_now(f"broker {victim} is back", "" if seen == wanted else f"{seen} records are visible, not {wanted}")
    client.delete_topics([name])[name].result(20)


def _alarm_missing(env: LocalEnvironment, place: str) -> str:
    deadline_s = time.monotonic() + ALARM_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if any(alarm.startswith(place) for alarm in read_alarms(home_of(env.settings))):
            return ""
        time.sleep(0.5)
    return "the watch raised no alarm"


def _explanation_missing(env: LocalEnvironment, shard: int) -> str:
    deadline_s = time.monotonic() + VERDICT_TIMEOUT_S
    while True:
        code, rows = _hanging_command(env)
        if [(row["topic"], row["partition"], row["decision"]) for row in rows] == [
            (topics.LEDGER.name, shard, "abort")
        ]:
            return "" if code == EXIT_ALARM else f"exit code {code} although a transaction hangs"
        if time.monotonic() > deadline_s:
            return f"exit code {code}, {rows}"
        time.sleep(1)


def _hanging_command(env: LocalEnvironment, *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Its exit code and its rows."""
    command = [sys.executable, "-m", "millrace", "transactions", "hanging", "--json", *options]
    fields = env.settings.variables()
    done = subprocess.run(
        command, env={**os.environ, **fields}, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False
    )
    return done.returncode, json.loads(done.stdout or "[]")


def _wait_leaderless(env: LocalEnvironment, topic: str, number: int) -> None:
    deadline_s = time.monotonic() + GONE_TIMEOUT_S
    while cluster.admin(env).list_topics(topic, timeout=20).topics[topic].partitions[number].leader >= 0:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{topic}[{number}] still has a leader")
        time.sleep(0.2)


def _end(producer: Producer, *, commit: bool) -> None:
    """Decided at once; the client may give up before the last marker is written."""
    try:
        (producer.commit_transaction if commit else producer.abort_transaction)(10)
    except KafkaException as slow:
        if not slow.args[0].retriable():
            raise


def _visible(env: LocalEnvironment, topic: str) -> list[int]:
    """Committed records of each partition once nothing is open on any."""
    deadline_s = time.monotonic() + GONE_TIMEOUT_S
    while time.monotonic() < deadline_s:
        view = transaction_admin.cluster(Brokers(env.kafka_bootstrap))
        if not any(opened.partition[0] == topic for opened in transaction_admin.open_producers(view)):
            break
        time.sleep(0.3)
    reader = Consumer({"bootstrap.servers": env.kafka_bootstrap, "group.id": "faults.marker", "log_level": 0})
    reader.assign([TopicPartition(topic, number, 0) for number in range(3)])
    found = [message.partition() for message in reader.consume(10, 3) if message.error() is None]
    reader.close()
    return [found.count(number) for number in range(3)]
