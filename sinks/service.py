"""The process `millrace sink`: migrates the schema, then applies the ledger until it is told to stop.

Reads ledger.entries, writes Postgres through loop.flush_batch. Survives restarts of the broker (the client reconnects)
and, within a bound, of Postgres (new connection, positions read again). Everything else ends the process with a reason:
exit 75 asks the supervisor for a new start, exit 70 says that a start will not help.
"""

import logging
import signal
import sys
import threading
from collections.abc import Collection
from typing import Final

import psycopg
from confluent_kafka import KafkaException
from psycopg import Connection

from payments.errors import InvariantViolation
from runtime import migrate
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import Failpoints
from runtime.kafka_reader import AssignedReader, PositionLost
from runtime.postgres import connect, is_transient
from runtime.settings import Settings
from schemas.topics import LEDGER
from sinks.balances import prepare_session
from sinks.loop import Throughput, flush_batch, next_batch
from sinks.progress import Fenced, ShardProgress, load_progress

log = logging.getLogger("millrace.sink")

GROUP: Final = "millrace.sink"
EXIT_INVARIANT: Final = 70
"""EX_SOFTWARE: the ledger contradicts itself or the tables. Restarting changes nothing; a human has to look."""

RECONNECTS_MAX: Final = 5
"""Reconnects without a batch in between. Each one already waits up to half a minute for Postgres."""

LOG_INTERVAL_S: Final = 10


class Sink:
    """One writer for a set of shards; by default the only one, for all."""

    def __init__(self, settings: Settings, shards: Collection[int] | None = None, topic: str = LEDGER.name) -> None:
        self._dsn = settings.database_url
        self._shards = sorted(shards if shards is not None else range(settings.shards))
        self._partitions = settings.shards
        self._topic = topic
        self._failpoints = Failpoints(settings.failpoint)
        self._reader = AssignedReader(settings.kafka_bootstrap, topic, GROUP)
        self._stopping = threading.Event()
        self._throughput = Throughput()
        self._reconnects = 0

    def stop(self) -> None:
        """Finish the batch at hand, then return from `run`. Callable from a signal handler or another thread."""
        self._stopping.set()

    def run(self) -> None:
        """Apply the ledger until stopped. Raises Fenced, InvariantViolation, TimeoutError, psycopg.Error."""
        try:
            migrate.up(self._dsn, "sinks")
            self._check_partitions()
            while not self._stopping.is_set():
                self._run_connected()
        finally:
            self._reader.close()
        log.info("stopped")

    def _check_partitions(self) -> None:
        found = self._reader.partition_count()
        if found != self._partitions:
            raise InvariantViolation(
                f"{self._topic} has {found} partitions and this installation {self._partitions} shards:"
                " set MILLRACE_SHARDS to what the topics were made with"
            )

    def _run_connected(self) -> None:
        with connect(self._dsn, "millrace sink") as connection:
            try:
                self._follow(connection)
            except psycopg.Error as error:
                if not is_transient(error, connection) or self._reconnects >= RECONNECTS_MAX:
                    raise
                self._reconnects += 1
                log.warning("postgres connection lost, reconnecting: %s", " ".join(str(error).split()))
                connection.close()

    def _follow(self, connection: Connection) -> None:
        progress = load_progress(connection, self._shards)
        prepare_session(connection)
        self._reader.start({shard: row.ledger_next_offset for shard, row in progress.items()})
        log.info("applying from %s", {shard: row.ledger_next_offset for shard, row in progress.items()})
        while not self._stopping.is_set():
            batch = next_batch(self._reader, progress)
            if len(batch):
                flush_batch(connection, batch, self._reader.commit, self._failpoints)
                progress.update(batch.after)
                self._throughput.count(batch)
                self._reconnects = 0
            self._report(progress)

    def _report(self, progress: dict[int, ShardProgress]) -> None:
        line = self._throughput.line_after(LOG_INTERVAL_S)
        if line is not None:
            behind = self._reader.records_behind({shard: row.ledger_next_offset for shard, row in progress.items()})
            log.info("%s records_behind=%d", line, behind)


def run(settings: Settings, shards: Collection[int] | None = None, topic: str = LEDGER.name) -> int:
    """The process until SIGTERM or SIGINT; its exit code, with the reason on stderr where it is not 0."""
    try:
        sink = Sink(settings, shards, topic)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: sink.stop())
        sink.run()
    except InvariantViolation as error:
        return _ended(f"invariant violated, nothing committed: {error}", EXIT_INVARIANT)
    except migrate.MigrationRefused as error:
        return _ended(str(error), EXIT_INVARIANT)
    except PositionLost as error:
        return _ended(f"{topic} does not hold the next record to apply: {error}", EXIT_INVARIANT)
    except (Fenced, TimeoutError, psycopg.OperationalError, KafkaException) as error:
        return _ended(str(error), EXIT_CRASHED)
    return 0


def _ended(reason: str, code: int) -> int:
    sys.stderr.write(f"millrace: sink: {' '.join(reason.split())}\n")
    return code
