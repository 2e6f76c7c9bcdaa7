"""A committed reader of the ledger that runs while the faults happen: what it saw must be what is there at the end."""

import bisect
import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Mapping

from confluent_kafka import Consumer, TopicPartition

from millrace.environment import LocalEnvironment
from runtime.kafka_client import Brokers
from schemas import topics

STILL_ARRIVING_S = 1.0
"""What was committed before a fault may still arrive so long after it: 5-20 ms here, a second on a stalled machine."""


class Tail(threading.Thread):
    """Notes every record and when it came."""

    def __init__(self, env: LocalEnvironment) -> None:
        super().__init__(name="tail", daemon=True)
        self._stopping = threading.Event()
        self._consumer = Consumer(
            {
                **Brokers.of(env.settings).configuration(),
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
        self.arrivals_s: dict[int, list[float]] = {shard: [] for shard in range(env.settings.shards)}
        """Shard → when each of them came."""

    def run(self) -> None:
        while not self._stopping.is_set():
            for message in self._consumer.consume(500, 0.05):
                if message.error() is None:
                    shard = message.partition() or 0
                    self.seen[shard].append((message.offset() or 0, message.value() or b""))
                    self.arrivals_s[shard].append(time.monotonic())
        self._consumer.close()

    def finish(self) -> None:
        self._stopping.set()
        self.join()

    def recovery_s(self, fault_s: float) -> float | None:
        """From the fault to the end of the longest silence of any shard that the fault can have begun; None when no
        shard was heard of again."""
        return recovery_s(self.arrivals_s, fault_s)

    def longest_gap_s(self, from_s: float, to_s: float) -> float:
        """The longest silence of any shard between two moments."""
        return longest_gap_s(self.arrivals_s, from_s, to_s)


def recovery_s(arrivals_s: Mapping[int, list[float]], fault_s: float) -> float | None:
    ends = [end for arrivals in arrivals_s.values() if (end := _silence_end(arrivals, fault_s)) is not None]
    return max(ends) - fault_s if ends else None


def longest_gap_s(arrivals_s: Mapping[int, list[float]], from_s: float, to_s: float) -> float:
    return max(_longest_gap(arrivals, from_s, to_s) for arrivals in arrivals_s.values())


def _silence_end(arrivals: list[float], fault_s: float) -> float | None:
    first = bisect.bisect_right(arrivals, fault_s)
    last = bisect.bisect_right(arrivals, fault_s + STILL_ARRIVING_S)
    moments = [fault_s, *arrivals[first : last + 1]]
    if len(moments) == 1:
        return None
    return max(itertools.pairwise(moments), key=lambda gap: gap[1] - gap[0])[1]


def _longest_gap(arrivals: list[float], from_s: float, to_s: float) -> float:
    inside = arrivals[bisect.bisect_right(arrivals, from_s) : bisect.bisect_left(arrivals, to_s)]
    return max(later - earlier for earlier, later in itertools.pairwise([from_s, *inside, to_s]))
