"""The life of a process that applies one topic to Postgres: schema, connections, positions, signals, exit codes.

Reads one topic from positions that the tables keep. Survives restarts of the broker (the client reconnects) and, within
a bound, of Postgres (new connection, positions read again). Everything else ends the process with a reason: exit 75
asks the supervisor for a new start, exit 70 says that a start will not help.
"""

import logging
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

import psycopg
from confluent_kafka import KafkaException, Message
from psycopg import Connection, sql

from payments.errors import InvariantViolation
from runtime import migrate
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.kafka_client import AccessRefused, Brokers
from runtime.kafka_reader import AssignedReader, PositionLost
from runtime.postgres import StoppedWaiting, connect, is_transient
from runtime.settings import Settings
from sinks.progress import Fenced

EXIT_INVARIANT: Final = 70
"""EX_SOFTWARE: the log contradicts itself or the tables. Restarting changes nothing; a human has to look."""

RECONNECTS_MAX: Final = 5
"""Reconnects without a batch in between. Each one already waits up to half a minute for Postgres."""


BATCH_BYTES: Final = 4 * 1024 * 1024
"""Values of a batch, after which it is closed. A record is below 900 kB: at most 5 MB in work."""

Positions = dict[int, int]
"""Shard → next offset to apply."""

Row = TypeVar("Row")


class RecordBatch(NamedTuple, Generic[Row]):
    """What records became, and the positions before and after them of the shards that they come from."""

    rows: list[Row]
    before: Positions
    after: Positions


def load_positions(
    connection: Connection, table: str, shards: Collection[int], first_offset: Callable[[int], int]
) -> Positions:
    """The positions in a table of (shard, next_offset); a shard seen for the first time starts at the first record that
    the topic still holds.
    """
    name = sql.Identifier(table)
    select = sql.SQL("SELECT shard, next_offset FROM {} WHERE shard = ANY(%s)").format(name)
    positions: Positions = dict(connection.execute(select, (sorted(shards),)).fetchall())
    fresh = {shard: first_offset(shard) for shard in sorted(set(shards) - positions.keys())}
    with connection.cursor() as cursor:
        insert = sql.SQL("INSERT INTO {} (shard, next_offset) VALUES (%s, %s)").format(name)
        cursor.executemany(insert, [*fresh.items()])
    connection.commit()
    return positions | fresh


def next_batch(
    reader: AssignedReader,
    positions: Mapping[int, int],
    row_of: Callable[[Message], Row],
    records_max: int,
    idle_poll_ms: int,
) -> RecordBatch[Row]:
    """What is there, up to `records_max` or BATCH_BYTES; nothing after such a silence."""
    batch: RecordBatch[Row] = RecordBatch([], {}, {})
    size_bytes = 0
    record = reader.next_record(idle_poll_ms / 1_000)
    while record is not None:
        shard, offset = record.partition(), record.offset()
        if offset >= batch.after.get(shard, positions[shard]):  # below: delivered again by the client, applied already
            batch.rows.append(row_of(record))
            batch.before[shard] = positions[shard]
            batch.after[shard] = offset + 1
            size_bytes += len(record)
        if len(batch.rows) >= records_max or size_bytes >= BATCH_BYTES:
            break
        record = reader.next_record(0)
    return batch


def claim_positions(connection: Connection, table: str, batch: RecordBatch[Row]) -> None:
    """Compare-and-set the positions, in order of the shards, so that two writers wait for each other and never
    deadlock. Raises Fenced.
    """
    update = sql.SQL("UPDATE {} SET next_offset = %s WHERE shard = %s AND next_offset = %s")
    with connection.cursor() as cursor:
        cursor.executemany(
            update.format(sql.Identifier(table)),
            [(batch.after[shard], shard, batch.before[shard]) for shard in sorted(batch.after)],
        )
        claimed = cursor.rowcount
    if claimed != len(batch.after):
        raise Fenced(f"fenced: another sink moved some of {sorted(batch.before.items())} on; one writer per shard")


def refusal_of_row(error: psycopg.Error) -> str:
    """What Postgres refused, or psycopg before it. Only a unique key's detail is quoted (it names the id); others would
    show whole rows.
    """
    diagnosis = error.diag
    if diagnosis.message_primary is None:
        return type(error).__name__
    detail = diagnosis.message_detail if isinstance(error, psycopg.errors.UniqueViolation) else None
    return f"{diagnosis.table_name}: {detail or diagnosis.message_primary} ({diagnosis.constraint_name})"


class TopicSink(ABC):
    """One writer for a set of shards; by default the only one, for all. `name` is for logs and Postgres' list of
    sessions.
    """

    name = "sink"

    def __init__(self, settings: Settings, shards: Collection[int] | None, topic: str, group: str) -> None:
        self._dsn = settings.database_url
        self._shards = sorted(shards if shards is not None else range(settings.shards))
        self._partitions = settings.shards
        self._topic = topic
        self._reader = AssignedReader(Brokers.of(settings), topic, group)
        self._stopping = threading.Event()
        self._reconnects = 0
        self._log = logging.getLogger(f"millrace.{self.name}")

    @abstractmethod
    def _follow(self, connection: Connection) -> None:
        """Apply batches from the stored positions until `_stopping`; call `_applied` after each."""

    def stop(self) -> None:
        """Finish the batch at hand, then return from `run`. Callable from a signal handler or another thread."""
        self._stopping.set()

    def run(self) -> None:
        """Until stopped. Raises AccessRefused, Fenced, InvariantViolation, StoppedWaiting, TimeoutError, and those of
        psycopg.
        """
        try:
            migrate.up(self._dsn, "sinks", stopping=self._stopping)
            self._check_partitions()
            while not self._stopping.is_set():
                self._run_connected()
        finally:
            self._reader.close()
        self._log.info("stopped")

    def _check_partitions(self) -> None:
        found = self._reader.partition_count()
        if found != self._partitions:
            raise InvariantViolation(
                f"{self._topic} has {found} partitions and this installation {self._partitions} shards:"
                " set MILLRACE_SHARDS to what the topics were made with"
            )

    def _run_connected(self) -> None:
        with connect(self._dsn, f"millrace {self.name}", stopping=self._stopping) as connection:
            try:
                self._follow(connection)
            except psycopg.Error as error:
                if not is_transient(error, connection) or self._reconnects >= RECONNECTS_MAX:
                    raise
                self._reconnects += 1
                self._log.warning("postgres connection lost, reconnecting: %s", " ".join(str(error).split()))
                connection.close()

    def _applied(self) -> None:
        self._reconnects = 0


def run_until_told(name: str, topic: str, make: Callable[[], TopicSink]) -> int:
    """The process until SIGTERM or SIGINT; its exit code, with the reason on stderr where it is not 0."""
    try:
        sink = make()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: sink.stop())
        sink.run()
    except StoppedWaiting as waited:
        return _ended(name, str(waited), 0)
    except InvariantViolation as error:
        return _ended(name, f"invariant violated, nothing committed: {error}", EXIT_INVARIANT)
    except migrate.MigrationRefused as error:
        return _ended(name, str(error), EXIT_INVARIANT)
    except PositionLost as error:
        return _ended(name, f"{topic} does not hold the next record to apply: {error}", EXIT_INVARIANT)
    except (AccessRefused, Fenced, TimeoutError, psycopg.OperationalError, KafkaException) as error:
        return _ended(name, str(error), EXIT_CRASHED)
    return 0


def _ended(name: str, reason: str, code: int) -> int:
    sys.stderr.write(f"millrace: {name}: {' '.join(reason.split())}\n")
    return code
