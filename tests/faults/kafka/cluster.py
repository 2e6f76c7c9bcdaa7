"""Which broker of a scenario does what, and the hands that take it away: killed, kept down, relieved of a leadership.

Reads the cluster's metadata with a fresh client each time (one that outlives a broker answers with stale epochs).
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import ElectionType, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from millrace.environment import LocalEnvironment
from runtime.exactly_once.broker import transaction_admin, wire
from runtime.exactly_once.transaction import transactional_id
from runtime.kafka_client import Brokers
from schemas import topics
from streams.app import APPLICATION

CONSUMER_OFFSETS, TRANSACTION_STATE = "__consumer_offsets", "__transaction_state"
ALTER_PARTITION_REASSIGNMENTS = 45
METADATA_TIMEOUT_S = 20
BACK_TIMEOUT_S = 60.0
"""A broker that starts while everything else wants the same two cores: 4-25 s."""

Place = tuple[str, int]


def admin(env: LocalEnvironment) -> AdminClient:
    return AdminClient({"bootstrap.servers": env.kafka_bootstrap, "log_level": 0})


def broker_names(env: LocalEnvironment) -> list[str]:
    names = [service.name for service in env.status().services]
    return [name for name in names if name.startswith("broker")]


def transaction_place(env: LocalEnvironment, slot: int) -> Place:
    """The partition whose leader coordinates a worker's transactions."""
    return hashed_place(env, TRANSACTION_STATE, transactional_id(APPLICATION, slot))


def group_place(env: LocalEnvironment) -> Place:
    """The partition whose leader coordinates the workers' group."""
    return hashed_place(env, CONSUMER_OFFSETS, APPLICATION)


def hashed_place(env: LocalEnvironment, topic: str, name: str) -> Place:
    """As the broker does: Java's hash of the name, without its sign, modulo the partitions."""
    hashed = 0
    for letter in name:
        hashed = (31 * hashed + ord(letter)) & 0xFFFF_FFFF
    partitions = admin(env).list_topics(topic, timeout=METADATA_TIMEOUT_S).topics[topic].partitions
    return topic, (hashed & 0x7FFF_FFFF) % len(partitions)


def ledger_place(shard: int) -> Place:
    return topics.LEDGER.name, shard


def leader_of(env: LocalEnvironment, place: Place) -> int:
    """Node id, waited for while there is none."""
    deadline_s = time.monotonic() + METADATA_TIMEOUT_S
    while True:
        found = admin(env).list_topics(place[0], timeout=METADATA_TIMEOUT_S).topics[place[0]].partitions
        if place[1] in found and found[place[1]].leader >= 0:
            leader: int = found[place[1]].leader
            return leader
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{place} has no leader")
        time.sleep(0.2)


def leader_name(env: LocalEnvironment, place: Place) -> str:
    """The service that leads the partition."""
    names = broker_names(env)
    return names[leader_of(env, place) - 1]


def all_in_sync(env: LocalEnvironment) -> bool:
    """Every replica of every partition follows its leader."""
    found = admin(env).list_topics(timeout=METADATA_TIMEOUT_S).topics
    partitions = [partition for topic in found.values() for partition in topic.partitions.values()]
    return all(len(partition.isrs) == len(partition.replicas) for partition in partitions)


def wait_in_sync(env: LocalEnvironment) -> None:
    """So that the next fault is one fault. Raises TimeoutError."""
    deadline_s = time.monotonic() + BACK_TIMEOUT_S
    while not all_in_sync(env):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"replicas are not in sync after {BACK_TIMEOUT_S:.0f} s")
        time.sleep(0.3)


@contextmanager
def kept_down(env: LocalEnvironment, *names: str, kill: bool = False) -> Iterator[None]:
    """Stopped in order, or killed, one after the other, and not back before the block ends: each one's next process is
    halted before it has done anything."""
    halted: list[int] = []
    try:
        for name in names:
            halted.append(_next_process(env, name, env.kill(name) if kill else env.restart(name)))
            os.kill(halted[-1], signal.SIGSTOP)
        yield
    finally:
        for pid in halted:
            os.kill(pid, signal.SIGCONT)


def move_leader(env: LocalEnvironment, place: Place) -> tuple[int, int]:
    """Give a partition's leadership to the next replica, in order; answers the node ids before and after."""
    partition = admin(env).list_topics(place[0], timeout=METADATA_TIMEOUT_S).topics[place[0]].partitions[place[1]]
    at = partition.replicas.index(partition.leader) + 1
    replicas = [*partition.replicas[at:], *partition.replicas[:at]]
    _reorder_replicas(env, place, replicas)
    deadline_s = time.monotonic() + METADATA_TIMEOUT_S
    while (leader := leader_of(env, place)) != replicas[0]:
        _elect_preferred(env, place)
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{place} is still led by {leader}")
    return partition.leader, leader


def _reorder_replicas(env: LocalEnvironment, place: Place, replicas: list[int]) -> None:
    """confluent-kafka 2.16 has no call for it. The first replica is the preferred leader."""
    numbers = wire.int32(place[1]) + wire.array(replicas, wire.int32) + b"\0"
    topic = wire.text(place[0]) + wire.array([numbers], bytes) + b"\0"
    body = wire.int32(10_000) + wire.array([topic], bytes) + b"\0"
    view = transaction_admin.cluster(Brokers(env.kafka_bootstrap))
    answer = wire.ask(next(iter(view.brokers.values())), ALTER_PARTITION_REASSIGNMENTS, 0, body)
    answer.number("i")  # throttle
    error = answer.number("h")
    if error:
        raise RuntimeError(f"replicas of {place} not reordered: error {error} {answer.string()}")


def _elect_preferred(env: LocalEnvironment, place: Place) -> None:
    client = admin(env)  # its futures end with it
    future = client.elect_leaders(ElectionType.PREFERRED, [TopicPartition(*place)])
    try:
        future.result(METADATA_TIMEOUT_S)
    except KafkaException as refusal:
        if refusal.args[0].code() != KafkaError.ELECTION_NOT_NEEDED:
            raise
    time.sleep(0.1)


def _next_process(env: LocalEnvironment, name: str, old_pid: int) -> int:
    deadline_s = time.monotonic() + BACK_TIMEOUT_S
    while time.monotonic() < deadline_s:
        for service in env.status().services:
            if service.name == name and service.pid not in {None, old_pid}:
                return int(service.pid or 0)
        time.sleep(0.01)
    raise TimeoutError(f"{name} was not started again")
