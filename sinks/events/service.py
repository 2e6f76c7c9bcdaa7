"""The process `millrace events-sink`: stores payments.events until it is told to stop, and forgets what is old.

A process of its own: webhooks may fall behind, the ledger's tables may not.
"""

import time
from collections.abc import Collection
from typing import Final

from psycopg import Connection

from runtime.exactly_once.failpoints import Failpoints
from runtime.settings import Settings
from schemas.access import EVENTS_SINK_GROUP
from schemas.tables.webhooks import EVENTS_KEPT
from schemas.topics import EVENTS
from sinks.events.loop import BATCH_RECORDS, IDLE_POLL_MS, POSITIONS, Told, flush_batch, is_shown, told_of
from sinks.events.storing import forget
from sinks.topic_sink import RecordBatch, TopicSink, load_positions, next_batch, run_until_told

NAME: Final = "events-sink"
LOOK_AGAIN_MS: Final = 50
"""How often the ledger's tables are asked whether they show a batch."""

FORGET_EVERY_S: Final = 10
FORGOTTEN_ROWS: Final = 20_000
"""At a time: 2,000 events a second go as they came, and a batch of new ones waits for a fraction of a second."""

LOG_INTERVAL_S: Final = 10


class EventsSink(TopicSink):
    """Events and deliveries as rows."""

    name = NAME

    def __init__(self, settings: Settings, shards: Collection[int] | None = None, topic: str = EVENTS.name) -> None:
        super().__init__(settings, shards, topic, EVENTS_SINK_GROUP)
        self._failpoints = Failpoints(settings.failpoint)
        self._forget_at_s = self._report_at_s = time.monotonic()
        self._stored = self._queued = 0

    def _follow(self, connection: Connection) -> None:
        positions = load_positions(connection, POSITIONS, self._shards, self._reader.first_offset)
        self._reader.start(positions)
        self._log.info("applying from %s", positions)
        while not self._stopping.is_set():
            batch = next_batch(self._reader, positions, told_of, BATCH_RECORDS, IDLE_POLL_MS)
            if batch.rows and self._shown(connection, batch):
                self._queued += flush_batch(connection, batch, self._reader.commit, self._failpoints)
                self._stored += len(batch.rows)
                positions.update(batch.after)
                self._applied()
            self._forget(connection)
            self._report()

    def _shown(self, connection: Connection, batch: RecordBatch[Told]) -> bool:
        """Waits until the ledger's tables show it; False where the process is told to stop before."""
        while not is_shown(connection, batch):
            if self._stopping.wait(LOOK_AGAIN_MS / 1_000):
                return False
        return True

    def _forget(self, connection: Connection) -> None:
        if time.monotonic() >= self._forget_at_s:
            self._forget_at_s = time.monotonic() + FORGET_EVERY_S
            forget(connection, EVENTS_KEPT, FORGOTTEN_ROWS)
            connection.commit()

    def _report(self) -> None:
        if self._stored and time.monotonic() >= self._report_at_s:
            self._report_at_s = time.monotonic() + LOG_INTERVAL_S
            self._log.info("stored=%d queued=%d", self._stored, self._queued)
            self._stored = self._queued = 0


def run(settings: Settings, shards: Collection[int] | None = None, topic: str = EVENTS.name) -> int:
    """The process until SIGTERM or SIGINT; its exit code, with the reason on stderr where it is not 0."""
    return run_until_told(NAME, topic, lambda: EventsSink(settings, shards, topic))
