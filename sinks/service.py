"""The process `millrace sink`: migrates the schema, then applies the ledger until it is told to stop.

Reads ledger.entries, writes Postgres through loop.flush_batch. When it goes on and when it ends: topic_sink.
"""

from collections.abc import Collection
from typing import Final

from psycopg import Connection

from runtime.exactly_once.failpoints import Failpoints
from runtime.settings import Settings
from schemas.access import SINK_GROUP
from schemas.topics import LEDGER
from sinks.account_sums import AccountSums
from sinks.balances import prepare_session
from sinks.loop import Throughput, flush_batch, next_batch
from sinks.progress import ShardProgress, load_progress
from sinks.topic_sink import TopicSink, run_until_told

LOG_INTERVAL_S: Final = 10


class Sink(TopicSink):
    """The ledger as tables."""

    def __init__(self, settings: Settings, shards: Collection[int] | None = None, topic: str = LEDGER.name) -> None:
        super().__init__(settings, shards, topic, SINK_GROUP)
        self._failpoints = Failpoints(settings.failpoint)
        self._throughput = Throughput()

    def _follow(self, connection: Connection) -> None:
        progress = load_progress(connection, self._shards)
        prepare_session(connection)
        sums = AccountSums(connection) if len(self._shards) == self._partitions else None
        self._reader.start({shard: row.ledger_next_offset for shard, row in progress.items()})
        self._log.info("applying from %s", {shard: row.ledger_next_offset for shard, row in progress.items()})
        while not self._stopping.is_set():
            batch = next_batch(self._reader, progress)
            if len(batch):
                flush_batch(connection, batch, self._reader.commit, self._failpoints)
                progress.update(batch.after)
                self._throughput.count(batch)
                self._applied()
                if sums is not None:
                    sums.look(batch)
            if sums is not None:
                progress.update(sums.go_on(progress, is_idle=not len(batch)))
            self._report(progress)

    def _report(self, progress: dict[int, ShardProgress]) -> None:
        line = self._throughput.line_after(LOG_INTERVAL_S)
        if line is not None:
            behind = self._reader.records_behind({shard: row.ledger_next_offset for shard, row in progress.items()})
            self._log.info("%s records_behind=%d", line, behind)


def run(settings: Settings, shards: Collection[int] | None = None, topic: str = LEDGER.name) -> int:
    """The process until SIGTERM or SIGINT; its exit code, with the reason on stderr where it is not 0."""
    return run_until_told("sink", topic, lambda: Sink(settings, shards, topic))
