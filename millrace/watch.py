"""`millrace watchdog`: raises the alarm when readers stand still, a transaction hangs, Postgres drifts from the ledger,
a record waits in quarantine, a provider leaves a request open for people, retention comes too near to what is not
archived yet, or reconciliation waits for a file.

Reads brokers, and asks the watchers beside it; writes `<home>/alarms.json` (empty list = quiet), which
`millrace status` shows, and one log line per change. A hanging transaction is never ended here: `millrace transactions
hanging --finish` does that, as its coordinator decided.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec
from confluent_kafka import KafkaException

from millrace.archive.alarm import ArchiveAlarm
from millrace.attempts import AttemptsAlarm
from millrace.environment.layout import Home
from millrace.quarantine.alarm import QuarantineAlarm
from millrace.reconciliation.nightly.alarm import NightsAlarm
from millrace.replay.drift import DriftWatch
from millrace.replay.drift_alarm import DriftAlarm
from runtime.exactly_once.broker.hanging import StableOffsetWatch, find_hanging
from runtime.exactly_once.broker.transaction_admin import IncompleteView, OpenProducer
from runtime.kafka_client import AccessRefused, Brokers
from runtime.settings import Settings
from schemas.topics import CATALOGUE, partitions

log = logging.getLogger("millrace.watch")

OBSERVE_EVERY_S = 5.0
"""24 partitions × two questions cost 20 ms; an alarm needs twice the transaction timeout (20 s) anyway."""

SCAN_EVERY_S = 30.0
"""A scan asks every broker for every open transaction; one that hangs is at least three timeouts (30 s) old."""


class Alarm(NamedTuple):
    """What is wrong, in one line."""

    text: str


class Watch:
    """Looks every few seconds; `look` is one look."""

    def __init__(
        self,
        settings: Settings,
        home: Home,
        scan_every_s: float = SCAN_EVERY_S,
        other_alarms: Sequence[Callable[[], list[str]]] = (),
    ) -> None:
        self._settings = settings
        self._home = home
        self._scan_every_s = scan_every_s
        self._scanned_s = time.monotonic()
        self._hanging: list[OpenProducer] = []
        self._other_alarms = other_alarms
        self._of_brokers: list[Alarm] = []
        self._alarms: list[Alarm] | None = None
        self._failures = 0
        watched = [(t.name, shard) for t in CATALOGUE for shard in range(partitions(t, settings.shards))]
        self._offsets = StableOffsetWatch(Brokers.of(settings), watched, settings.transaction_timeout_ms)

    def look(self) -> list[Alarm]:
        """Observe, scan when it is time, and tell where that changes something.

        Brokers out of reach are an alarm from the second time on: a leader may just be moving.
        """
        try:
            self._of_brokers, self._failures = self._observed(), 0
        except (AccessRefused, KafkaException, IncompleteView, OSError) as error:
            self._failures += 1
            unasked = [Alarm(f"the brokers can't be asked: {' '.join(str(error).split())}")]
            self._of_brokers = unasked if self._failures > 1 else self._of_brokers
        alarms = self._of_brokers + [Alarm(text) for others in self._other_alarms for text in others()]
        if alarms != self._alarms:
            self._tell(alarms)
        return alarms

    def close(self) -> None:
        self._offsets.close()

    def _observed(self) -> list[Alarm]:
        stalled = self._offsets.observe()
        if time.monotonic() - self._scanned_s >= self._scan_every_s:
            self._hanging = find_hanging(Brokers.of(self._settings), self._settings.transaction_timeout_ms)
            self._scanned_s = time.monotonic()
        behind = [Alarm(f"{one.partition[0]}[{one.partition[1]}]: readers stand still") for one in stalled]
        return behind + [
            Alarm(f"{describe(producer)} hangs: millrace transactions hanging") for producer in self._hanging
        ]

    def _tell(self, alarms: list[Alarm]) -> None:
        for alarm in alarms:
            log.error("ALARM %s", alarm.text)
        if not alarms and self._alarms:
            log.info("all alarms are over")
        self._alarms = alarms
        self._home.write(self._home.alarms, msgspec.json.encode([alarm.text for alarm in alarms]))


def describe(producer: OpenProducer) -> str:
    """An open transaction in words."""
    topic, partition = producer.partition
    return f"transaction of producer {producer.producer_id} on {topic}[{partition}]"


def read_alarms(home: Home) -> list[str]:
    """What the watch of this home says now."""
    try:
        return msgspec.json.decode(home.alarms.read_bytes(), type=list[str])
    except FileNotFoundError:
        return []


@contextmanager
def watching(settings: Settings, home: Home) -> Iterator[Callable[[], list[Alarm]]]:
    """A watch, with the drift watcher and the alarms of quarantine and archive beside it, that is closed afterwards."""
    drift = DriftAlarm(DriftWatch(settings), home)
    others = (QuarantineAlarm(settings), AttemptsAlarm(settings), ArchiveAlarm(settings), NightsAlarm(settings))
    watch = Watch(settings, home, other_alarms=(drift.alarms, *(other.alarms for other in others)))
    drift.start()
    try:
        yield watch.look
    finally:
        drift.stop()
        watch.close()


def run(settings: Settings, home: Home, stop: threading.Event) -> None:
    """Look until stopped."""
    with watching(settings, home) as look:
        while not stop.is_set():
            look()
            stop.wait(OBSERVE_EVERY_S)
