"""How far each shard's ledger is applied: the fence between writers, and what the next record has to continue.

Keeps one ShardProgress per shard in memory, equal to the rows of sink_progress after every commit.
Guarantees: no record of a ledger is skipped, applied twice or exchanged without the sink stopping.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from psycopg import Connection

from payments.errors import InvariantViolation, MillraceError
from schemas.codec.ledger import LedgerHeader, SourceTopic

CHANNEL: Final = "millrace_progress"
"""LISTEN here to learn that sink_progress has moved; the notification carries nothing."""

INPUT_COLUMNS: Final = tuple(f"{source.name.lower()}_next_offset" for source in SourceTopic)
"""Of sink_progress, in the order of SourceTopic."""

_COLUMNS: Final = ("shard", "ledger_next_offset", "ledger_sequence", *INPUT_COLUMNS, "last_hash")
_LOAD: Final = f"SELECT {', '.join(_COLUMNS)}, summed_until_us FROM sink_progress WHERE shard = ANY(%s) ORDER BY shard"
_CLAIM: Final = (
    f"UPDATE sink_progress SET {', '.join(f'{column} = %s' for column in _COLUMNS[1:])}"
    " WHERE shard = %s AND ledger_next_offset = %s AND summed_until_us = %s"
)
_REACH_SUMS: Final = """
UPDATE sink_progress SET summed_until_us = %s WHERE shard = %s AND ledger_next_offset = %s AND summed_until_us = %s"""


class Fenced(MillraceError):
    """Another writer applied records of our shards: it goes on, we stop."""


class ShardProgress(NamedTuple):
    """A row of sink_progress. `input_next_offsets` is indexed by SourceTopic."""

    shard: int
    ledger_next_offset: int
    ledger_sequence: int
    input_next_offsets: tuple[int, ...]
    last_hash: bytes
    summed_until_us: int = 0
    """A leg before this may belong to a span of account_sums."""

    def after(self, header: LedgerHeader, ledger_offset: int, record_hash: bytes) -> "ShardProgress":
        """The progress behind this record. Raises InvariantViolation where it does not continue the ledger."""
        place = f"ledger.entries[{self.shard}] offset {ledger_offset}"
        if header.shard != self.shard:
            raise InvariantViolation(f"{place}: a record of shard {header.shard}")
        if header.sequence != self.ledger_sequence:
            raise InvariantViolation(f"{place}: sequence {header.sequence} where {self.ledger_sequence} follows")
        if header.previous_hash != self.last_hash:
            raise InvariantViolation(f"{place}: the hash chain is broken before sequence {header.sequence}")
        decided = self.input_next_offsets[header.source]
        if not decided <= header.first_offset < header.next_offset:
            raise InvariantViolation(
                f"{place}: decides inputs {header.first_offset}–{header.next_offset} of {header.source.name},"
                f" of which those below {decided} are decided already"
            )
        return ShardProgress(
            self.shard,
            ledger_offset + 1,
            header.sequence + 1,
            inputs_after(self.input_next_offsets, header),
            record_hash,
            self.summed_until_us,
        )


def inputs_after(offsets: tuple[int, ...], header: LedgerHeader) -> tuple[int, ...]:
    """Next offsets by SourceTopic, once this record is applied."""
    return (*offsets[: header.source], header.next_offset, *offsets[header.source + 1 :])


def load_progress(connection: Connection, shards: Collection[int]) -> dict[int, ShardProgress]:
    """The stored progress of these shards; a shard seen for the first time starts at the beginning."""
    connection.execute(
        "INSERT INTO sink_progress (shard) SELECT unnest(%s::smallint[]) ON CONFLICT DO NOTHING", (sorted(shards),)
    )
    rows = connection.execute(_LOAD.encode(), (sorted(shards),)).fetchall()
    connection.commit()
    return {
        shard: ShardProgress(shard, at, sequence, tuple(inputs), bytes(last_hash), summed_until_us)
        for shard, at, sequence, *inputs, last_hash, summed_until_us in rows
    }


def claim(connection: Connection, before: Mapping[int, ShardProgress], after: Mapping[int, ShardProgress]) -> None:
    """Compare-and-set every shard of `after`. Raises Fenced where one is not as we left it.

    In order of the shards, so that two writers wait for each other and never deadlock.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            _CLAIM.encode(),
            [_claim_row(before[shard], after[shard]) for shard in sorted(after)],
        )
        claimed = cursor.rowcount
    _require_all(claimed, before, after)


def reach_sums(
    connection: Connection, progress: Mapping[int, ShardProgress], until_us: int
) -> dict[int, ShardProgress]:
    """The progress of all shards once spans of account_sums reach to here. Raises Fenced where another writer may have
    brought something that is not in them.
    """
    reached = {
        shard: row._replace(summed_until_us=max(until_us, row.summed_until_us)) for shard, row in progress.items()
    }
    rows = [(reached[shard].summed_until_us, shard, *_fence(progress[shard])) for shard in sorted(progress)]
    with connection.cursor() as cursor:
        cursor.executemany(_REACH_SUMS, rows)
        claimed = cursor.rowcount
    _require_all(claimed, progress, progress)
    return reached


def _fence(row: ShardProgress) -> tuple[int, int]:
    return row.ledger_next_offset, row.summed_until_us


def _require_all(claimed: int, before: Mapping[int, ShardProgress], after: Mapping[int, ShardProgress]) -> None:
    if claimed != len(after):
        expected = ", ".join(f"{shard}: {before[shard].ledger_next_offset}" for shard in sorted(after))
        raise Fenced(
            f"fenced: another sink moved {len(after) - claimed} of the shards {{{expected}}} on; one writer per shard"
        )


def _claim_row(before: ShardProgress, after: ShardProgress) -> tuple[int | bytes, ...]:
    return (
        after.ledger_next_offset,
        after.ledger_sequence,
        *after.input_next_offsets,
        after.last_hash,
        after.shard,
        *_fence(before),
    )


LaneKey = tuple[int, int, int]
"""Shard, lane, peer."""


def advance_lanes(connection: Connection, lanes: Mapping[LaneKey, int]) -> None:
    """Store the lane counters that changed. Raises InvariantViolation where one would run backwards."""
    if not lanes:
        return
    rows = sorted((*key, following) for key, following in lanes.items())
    stored = connection.execute(
        "INSERT INTO sink_lanes AS lanes (shard, lane, peer, next)"
        " SELECT * FROM unnest(%s::smallint[], %s::smallint[], %s::smallint[], %s::bigint[])"
        " ON CONFLICT (shard, lane, peer) DO UPDATE SET next = EXCLUDED.next WHERE lanes.next <= EXCLUDED.next",
        [list(column) for column in zip(*rows, strict=True)],
    ).rowcount
    if stored != len(rows):
        raise InvariantViolation(f"{len(rows) - stored} of these lane counters run backwards: {rows}")


def count_outcomes(connection: Connection, counts: Iterable[tuple[int, int, int]]) -> None:
    """Add (shard, kind, entries) to outcome_counts."""
    rows = sorted(counts)
    if not rows:
        return
    connection.execute(
        "INSERT INTO outcome_counts AS counts (shard, kind, entries)"
        " SELECT * FROM unnest(%s::smallint[], %s::smallint[], %s::bigint[])"
        " ON CONFLICT (shard, kind) DO UPDATE SET entries = counts.entries + EXCLUDED.entries",
        [list(column) for column in zip(*rows, strict=True)],
    )


def notify_readers(connection: Connection) -> None:
    """Wake whoever waits for a position; delivered with the commit."""
    connection.execute(f"NOTIFY {CHANNEL}")
