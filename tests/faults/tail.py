"""A committed reader of the ledger that runs while the faults happen: what it saw must be what is there at the end."""

import itertools
import threading
import time
from collections import defaultdict

from confluent_kafka import Consumer, TopicPartition

from millrace.environment import LocalEnvironment
from schemas import topics


class Tail(threading.Thread):
    """Notes every record and when it came."""

    def __init__(self, env: LocalEnvironment) -> None:
        super().__init__(name="tail", daemon=True)
        self._stopping = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": env.kafka_bootstrap,
                "group.id": "faults.tail",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(topics.LEDGER.name, s, 0) for s in range(env.settings.shards)])
        self.seen: defaultdict[int, list[tuple[int, bytes]]] = defaultdict(list)
        """Shard → (offset, value) in the order they came."""
        self.arrivals_s: list[float] = []

    def run(self) -> None:
        while not self._stopping.is_set():
            for message in self._consumer.consume(500, 0.05):
                if message.error() is None:
                    self.seen[message.partition() or 0].append((message.offset() or 0, message.value() or b""))
                    self.arrivals_s.append(time.monotonic())
        self._consumer.close()

    def finish(self) -> None:
        self._stopping.set()
        self.join()

    def first_after(self, moment_s: float) -> float | None:
        """When the first record after this moment came."""
        return next((arrival for arrival in self.arrivals_s if arrival > moment_s), None)

    def longest_gap_s(self, from_s: float, to_s: float) -> float:
        """The longest silence between two moments."""
        moments = [from_s, *(a for a in self.arrivals_s if from_s < a < to_s), to_s]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))
