"""Changelogs as a long life leaves them: compacted, and ending in transactions that were aborted or are open.

A worker that is killed then has to rebuild its shards from what is left, and from nothing that was not committed.
"""

import random
import signal
import time
from collections.abc import Iterator

from confluent_kafka import Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from millrace.environment import LocalEnvironment
from millrace.environment.layout import home_of
from schemas import topics
from tests.faults.installation import TRANSACTION_TIMEOUT_MS, Installation
from tests.faults.kafka import cluster
from tests.faults.scenario import Fault, fault_now

COMPACTED_OFTEN = {
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1000",
    "delete.retention.ms": "100",
}
COMPACTED_TIMEOUT_S = 40.0
ABORTED_RECORDS = 5


def compacted_and_half_aborted(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Snapshots are compacted, changelogs end in an aborted and in an open transaction, both workers are killed."""
    env = installation.env
    _compact_often(env)
    compacted = _is_compacted(env)
    time.sleep(rng.uniform(1, 2))
    _left_behind(env, rng, "aborted").abort_transaction(30)
    still_open = _left_behind(env, rng, "open")
    for worker in installation.workers:
        worker.signal(signal.SIGKILL)
    yield fault_now("kill -9 of both workers", "" if compacted else "the snapshots were not compacted")
    time.sleep(TRANSACTION_TIMEOUT_MS / 1_000 + 5)
    del still_open


def _compact_often(env: LocalEnvironment) -> None:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in COMPACTED_OFTEN.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topics.SNAPSHOTS.name, incremental_configs=entries)
    client = cluster.admin(env)  # its futures end with it
    for future in client.incremental_alter_configs([resource]).values():
        future.result(20)


def _is_compacted(env: LocalEnvironment) -> bool:
    """The cleaner's own note of how far it came, for every shard; waited for."""
    path = home_of(env.settings).broker(1) / "data" / "cleaner-offset-checkpoint"
    deadline_s = time.monotonic() + COMPACTED_TIMEOUT_S
    while time.monotonic() < deadline_s:
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        cleaned = [line for line in lines if line[0] == topics.SNAPSHOTS.name and int(line[2]) > 0]
        if len(cleaned) == env.settings.shards:
            return True
        time.sleep(0.5)
    return False


def _left_behind(env: LocalEnvironment, rng: random.Random, name: str) -> Producer:
    """A transaction with records that no restore may take for true: keys of snapshots, bytes that mean nothing."""
    producer = Producer(
        {
            "bootstrap.servers": env.kafka_bootstrap,
            "transactional.id": f"faults.{name}",
            "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
            "log_level": 0,
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for topic in (topics.SNAPSHOTS.name, topics.LEDGER.name):
        for shard in range(env.settings.shards):
            for _ in range(ABORTED_RECORDS):
                producer.produce(topic, rng.randbytes(100), b"head", shard)
    producer.flush(30)
    return producer
