"""payments.quarantine → Postgres, exactly once: each batch of records becomes rows of the table quarantine.

Reads committed records from where quarantine_progress stands; keeps those positions; writes both tables in one
transaction. Exactly once rests on the compare-and-set of quarantine_progress, as the ledger's tables on sink_progress.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg
from confluent_kafka import Message
from psycopg import Connection

from payments.errors import InvariantViolation, UndecodableRecord
from runtime.exactly_once.failpoints import Failpoints
from runtime.kafka_reader import AssignedReader
from schemas.codec import reference
from sinks.progress import Fenced

BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024
"""A record is below 900 kB: at most 5 MB in work. 500 rows of 200 bytes take 10 ms (p99 20)."""

IDLE_POLL_S: Final = 0.5
"""Nobody waits for these rows within a second."""

_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INSERT: Final = (
    "INSERT INTO quarantine (origin_topic, origin_partition, origin_offset, origin_item, reason, detail, key, value,"
    " received_at, shard, quarantine_offset) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)

Positions = dict[int, int]
"""Shard → next offset of payments.quarantine to apply."""


class Batch(NamedTuple):
    """Rows, and the positions before and after them of the shards that they come from."""

    rows: list[tuple[Any, ...]]
    before: Positions
    after: Positions


def load_positions(connection: Connection, shards: Collection[int], first_offset: Callable[[int], int]) -> Positions:
    """The stored positions; a shard seen for the first time starts at the first record that the topic still holds."""
    query = "SELECT shard, next_offset FROM quarantine_progress WHERE shard = ANY(%s)"
    positions: Positions = dict(connection.execute(query, (sorted(shards),)).fetchall())
    fresh = {shard: first_offset(shard) for shard in sorted(set(shards) - positions.keys())}
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO quarantine_progress (shard, next_offset) VALUES (%s, %s)", [*fresh.items()])
    connection.commit()
    return positions | fresh


def next_batch(reader: AssignedReader, positions: Mapping[int, int]) -> Batch:
    """What is there, up to BATCH_RECORDS or BATCH_BYTES; nothing after IDLE_POLL_S of silence."""
    batch = Batch([], {}, {})
    size_bytes = 0
    record = reader.next_record(IDLE_POLL_S)
    while record is not None:
        shard, offset = record.partition(), record.offset()
        if offset >= batch.after.get(shard, positions[shard]):  # below: delivered again by the client, applied already
            batch.rows.append(_row(record))
            batch.before[shard] = positions[shard]
            batch.after[shard] = offset + 1
            size_bytes += len(record)
        if len(batch.rows) >= BATCH_RECORDS or size_bytes >= BATCH_BYTES:
            break
        record = reader.next_record(0)
    return batch


def _row(record: Message) -> tuple[Any, ...]:
    """Only our own agents write this topic: a record that is none of theirs is a bug, and stops the sink."""
    place = f"{record.topic()}[{record.partition()}] offset {record.offset()}"
    try:
        name, fields = reference.decode(record.value() or b"")
    except UndecodableRecord as error:
        raise InvariantViolation(f"{place}: {error}") from error
    if name != "QuarantinedRecord":
        raise InvariantViolation(f"{place}: a {name}")
    return (
        *(fields[field] for field in ("topic", "partition", "offset", "item", "reason", "detail", "key", "value")),
        _UNIX_EPOCH + timedelta(microseconds=fields["received_at_us"]),
        record.partition(),
        record.offset(),
    )


def flush_batch(
    connection: Connection, batch: Batch, commit_offsets: Callable[[Positions], None], failpoints: Failpoints
) -> None:
    """Make one batch visible, once. Raises Fenced, InvariantViolation, psycopg.Error (nothing is then visible)."""
    # 1. Claim: a second writer waits here on the row locks, then finds the positions moved and itself fenced.
    _claim(connection, batch)
    # 2. Facts, append only. No ON CONFLICT: an origin that is there already was set aside twice.
    try:
        with connection.cursor() as cursor:
            cursor.executemany(_INSERT, batch.rows)
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        raise InvariantViolation(f"quarantine: {error.diag.message_primary} ({error.diag.message_detail})") from error
    # Crash up to here: rolled back, positions as before, the same records are read again.
    failpoints.reach("sink_before_commit")
    # 3. COMMIT. Cut off in it: the next start asks quarantine_progress whether it happened.
    connection.commit()
    failpoints.reach("sink_after_commit")
    # 4. Group offsets for lag tooling; nothing decides by them.
    commit_offsets(batch.after)


def _claim(connection: Connection, batch: Batch) -> None:
    """In order of the shards, so that two writers wait for each other and never deadlock. Raises Fenced."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE quarantine_progress SET next_offset = %s WHERE shard = %s AND next_offset = %s",
            [(batch.after[shard], shard, batch.before[shard]) for shard in sorted(batch.after)],
        )
        claimed = cursor.rowcount
    if claimed != len(batch.after):
        raise Fenced(f"fenced: another sink moved some of {sorted(batch.before.items())} on; one writer per shard")
