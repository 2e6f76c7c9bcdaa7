"""Workers restarted one by one into the next release, twice: first it reads the new version, then it writes it."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator

from confluent_kafka import Consumer, TopicPartition

from schemas import topics, wire
from tests.faults.installation import Installation
from tests.faults.scenario import Fault, fault_now
from tests.faults.upgrade.next_release import FIRST, READS_BOTH, SECOND, WRITES_SECOND

PROGRAM = "tests.faults.upgrade.next_release"


def rolling_upgrade(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(2, 3))
    for phase in (READS_BOTH, WRITES_SECOND):
        for worker in rng.sample(installation.workers, len(installation.workers)):
            worker.run_from_now_on((PROGRAM, phase))
            worker.signal(signal.SIGTERM)
            yield fault_now(f"{worker.name} restarts, {phase}")
            time.sleep(rng.uniform(6, 8))
    versions = _versions(installation)
    missing = "" if all(versions[schema.schema_id] for schema in (FIRST, SECOND)) else f"versions sent: {versions}"
    yield fault_now("both versions were on their way", missing)


def _versions(installation: Installation) -> Counter[int]:
    """How many credit records of each schema there are."""
    settings = installation.env.settings
    reader = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "faults.versions", "log_level": 0})
    found: Counter[int] = Counter()
    try:
        reader.assign([TopicPartition(topics.CREDITS.name, shard, 0) for shard in range(settings.shards)])
        deadline_s = time.monotonic() + 30
        while time.monotonic() < deadline_s:
            records = [record for record in reader.consume(1_000, 1) if record.error() is None]
            found.update(wire.schema_id_of(record.value() or b"") for record in records)
            if found[FIRST.schema_id] and found[SECOND.schema_id]:
                break
    finally:
        reader.close()
    return found
