"""The process `millrace quarantine-sink`: applies payments.quarantine until it is told to stop.

A process of its own, not a second reader in the sink: a record that it cannot apply stops it, and must not stop the
money's tables with it; nor may a sink that is stopped by a broken ledger hide the records that tell why. It costs one
idle process of 62 MB.
"""

from collections.abc import Collection
from typing import Final

from psycopg import Connection

from runtime.exactly_once.failpoints import Failpoints
from runtime.settings import Settings
from schemas.access import QUARANTINE_SINK_GROUP
from schemas.topics import QUARANTINE
from sinks.quarantine.loop import BATCH_RECORDS, IDLE_POLL_MS, POSITIONS, flush_batch, row_of
from sinks.topic_sink import TopicSink, load_positions, next_batch, run_until_told

NAME: Final = "quarantine-sink"


class QuarantineSink(TopicSink):
    """Records set aside as rows."""

    name = NAME

    def __init__(self, settings: Settings, shards: Collection[int] | None = None, topic: str = QUARANTINE.name) -> None:
        super().__init__(settings, shards, topic, QUARANTINE_SINK_GROUP)
        self._failpoints = Failpoints(settings.failpoint)

    def _follow(self, connection: Connection) -> None:
        positions = load_positions(connection, POSITIONS, self._shards, self._reader.first_offset)
        self._reader.start(positions)
        self._log.info("applying from %s", positions)
        while not self._stopping.is_set():
            batch = next_batch(self._reader, positions, row_of, BATCH_RECORDS, IDLE_POLL_MS)
            if batch.rows:
                flush_batch(connection, batch, self._reader.commit, self._failpoints)
                positions.update(batch.after)
                self._applied()
                self._log.warning("%d records set aside", len(batch.rows))


def run(settings: Settings, shards: Collection[int] | None = None, topic: str = QUARANTINE.name) -> int:
    """The process until SIGTERM or SIGINT; its exit code, with the reason on stderr where it is not 0."""
    return run_until_told(NAME, topic, lambda: QuarantineSink(settings, shards, topic))
