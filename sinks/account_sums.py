"""The table account_sums: what was posted to accounts with many entries, summed up by spans of their time.

Reads the legs of an account from their indexes, after batches and in between; writes account_sums, and how far it
reaches into sink_progress. One in SPAN_LEGS legs of a batch has its account looked at, so nothing is kept of accounts
with few; those that were there before the table are walked through once, a few at a time.
Guarantees: every span has all legs of its time, whichever writer brings them and however late. Spans are made by the
only writer of all shards; a writer that does not know of them is fenced (progress.claim).
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from psycopg import Connection

from payments.postings import JOURNAL_ENTRIES as POSTING_KINDS
from payments.postings import legs_of
from sinks.balances import Changes
from sinks.ledger_batch import LedgerBatch
from sinks.progress import ShardProgress, reach_sums

SPAN_LEGS: Final = 8_192
"""A page adds up as many at most to the sums of spans, and three times as many that have none yet: 6 ms."""

_SPANS_A_STEP: Final = 8
_LOOKS_A_STEP: Final = 4
"""At accounts that have too few entries for a span: 0.3 ms each. More are never drawn from a batch, on average."""

LAG_US: Final = 60_000_000
"""Spans end so long before the newest entry: one that is later than this costs its batch a statement."""

WALKED_AT_ONCE: Final = 100
_BATCHES_A_WALK: Final = 16
"""While there is always something to apply."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BY_INDEX: Final = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_nestloop = on;"
    " SET LOCAL max_parallel_workers_per_gather = 0"
)
_ARM: Final = """(SELECT posted_at, amount_minor FROM {arm} WHERE account_id = %(account)s
    AND posted_at >= (SELECT coalesce(max(until), '-infinity') FROM account_sums WHERE account_id = %(account)s)
    AND posted_at < %(horizon)s ORDER BY posted_at LIMIT %(legs)s)"""
_ARMS: Final = ("debit_legs", "credit_legs", "journal_legs")
_SUM: Final = f"""
WITH sides AS (
    {" UNION ALL ".join(_ARM.format(arm=arm) for arm in _ARMS)}
), legs AS (
    -- Entries of one microsecond share a place, and so a span.
    SELECT posted_at, amount_minor, (rank() OVER (ORDER BY posted_at) - 1) / %(span)s AS span
    FROM (SELECT * FROM sides ORDER BY posted_at LIMIT %(legs)s) AS nearest
), spans AS (
    SELECT max(posted_at) + interval '1 microsecond' AS until, sum(amount_minor) AS posted_minor,
        lead(span) OVER (ORDER BY span) IS NOT NULL AS is_whole
    FROM legs GROUP BY span
)
INSERT INTO account_sums (account_id, until, posted_minor)
SELECT %(account)s, until, posted_minor FROM spans WHERE is_whole RETURNING until"""
_COUNTED: Final = " + ".join(
    f"(SELECT count(*) FROM (SELECT FROM {arm} WHERE account_id = held.account_id LIMIT %(span)s) AS few)"
    for arm in _ARMS
)
_WALK: Final = f"""
SELECT account_id, {_COUNTED} >= %(span)s AS has_many
FROM (
    SELECT account_id FROM balances WHERE account_id > (SELECT walked_to FROM account_sums_walk)
    ORDER BY account_id LIMIT {WALKED_AT_ONCE}
) AS held ORDER BY account_id"""
_WALKED: Final = "UPDATE account_sums_walk SET walked_to = %s"
_WALKED_THROUGH: Final = "DELETE FROM account_sums_walk"
_ADD_LATE: Final = """
UPDATE account_sums AS sums SET posted_minor = sums.posted_minor + late.posted_minor
FROM (
    SELECT leg.account_id, span.until, sum(leg.amount_minor) AS posted_minor
    FROM unnest(%s::uuid[], %s::timestamptz[], %s::bigint[]) AS leg (account_id, posted_at, amount_minor)
    CROSS JOIN LATERAL (
        SELECT until FROM account_sums AS behind
        WHERE behind.account_id = leg.account_id AND behind.until > leg.posted_at ORDER BY until LIMIT 1
    ) AS span
    GROUP BY leg.account_id, span.until ORDER BY leg.account_id, span.until
) AS late
WHERE sums.account_id = late.account_id AND sums.until = late.until"""

Progress = Mapping[int, ShardProgress]


def add_late(connection: Connection, changes: Changes, summed_until_us: int) -> None:
    """What the batch posts inside spans that there are. Part of its transaction."""
    late = np.flatnonzero((changes.posted_delta_minor != 0) & (changes.decided_at_us < summed_until_us))
    if not len(late):
        return
    accounts = [UUID(bytes=bytes(account).ljust(16, b"\0")) for account in changes.account[late]]
    times = [time_of_us(int(at_us)) for at_us in changes.decided_at_us[late]]
    connection.execute(_ADD_LATE, (accounts, times, changes.posted_delta_minor[late].tolist()))


class AccountSums:
    """Of the only writer of all shards."""

    def __init__(self, connection: Connection, span_legs: int = SPAN_LEGS, lag_us: int = LAG_US) -> None:
        self._connection = connection
        self._span_legs = span_legs
        self._lag_us = lag_us
        self._latest_us = 0
        self._wanted: dict[bytes, None] = {}
        self._walks = connection.execute("SELECT FROM account_sums_walk").rowcount == 1
        self._walked_to: UUID | None = None
        """Where the walk stands once every account of `_wanted` has its spans."""
        self._batches = 0
        connection.commit()

    def look(self, batch: LedgerBatch) -> None:
        """Choose accounts of a batch that was applied."""
        self._latest_us = max(self._latest_us, int(batch.entries["decided_at_us"].max(initial=0)))
        self._wanted |= dict.fromkeys(_drawn(batch, self._span_legs))
        self._batches += 1

    @property
    def is_done(self) -> bool:
        """True where nothing is left to do but what the next batches bring."""
        return not self._wanted and not self._walks

    def go_on(self, progress: Progress, *, is_idle: bool) -> Progress:
        """One step, and the progress behind it. Raises Fenced, psycopg.Error."""
        # Where nothing comes, everything has come: until then an entry of now may be far ahead of other shards'.
        now_us = time.time_ns() // 1_000 if is_idle else self._latest_us
        for _ in range(_LOOKS_A_STEP):
            if not self._wanted:
                break
            summed = self._sum(next(iter(self._wanted)), now_us, progress)
            if summed is not progress:
                return summed
        if not self._wanted and self._walks and (is_idle or self._batches >= _BATCHES_A_WALK):
            self._walk()
            self._batches = 0
        return progress

    def _sum(self, account: bytes, now_us: int, progress: Progress) -> Progress:
        """The next spans of an account, as far as it has entries for them; the same progress where there are none."""
        asked = {
            "account": UUID(bytes=account),
            "horizon": time_of_us(now_us - self._lag_us),
            "span": self._span_legs,
            "legs": _SPANS_A_STEP * self._span_legs,
        }
        self._connection.execute(_BY_INDEX)
        made = self._connection.execute(_SUM.encode(), asked).fetchall()
        if made:
            progress = reach_sums(self._connection, progress, max(us_of_time(until) for (until,) in made))
        self._connection.commit()
        if not made:
            del self._wanted[account]
        return progress

    def _walk(self) -> None:
        if self._walked_to is not None:
            self._connection.execute(_WALKED, (self._walked_to,))
            self._walked_to = None
        self._connection.execute(_BY_INDEX)
        rows = self._connection.execute(_WALK.encode(), {"span": self._span_legs}).fetchall()
        if rows:
            self._walked_to = rows[-1][0]
            self._wanted |= {account.bytes: None for account, has_many in rows if has_many}
        else:
            self._connection.execute(_WALKED_THROUGH)
            self._walks = False
        self._connection.commit()


def _drawn(batch: LedgerBatch, one_in: int) -> Iterator[bytes]:
    """Accounts of one in so many entries that post: ids end at random."""
    ends = np.ascontiguousarray(batch.entries["operation_id"]).view(">u4")[3::4]
    drawn = np.flatnonzero(batch.is_any(*POSTING_KINDS) & (ends % one_in == 0))
    legs = {one.at: legs_of(one.entry.details) for one in batch.detailed} if len(drawn) else {}
    for at in drawn.tolist():
        if legs.get(at):
            yield from (leg.account for leg in legs[at])
        else:
            yield from _parties(batch, at)


def _parties(batch: LedgerBatch, at: int) -> Iterable[bytes]:
    entry = batch.entries[at]
    return bytes(entry["debit_account"]), bytes(entry["credit_account"])


def time_of_us(at_us: int) -> datetime:
    """Of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at_us)


def us_of_time(at: datetime) -> int:
    """The inverse."""
    return (at - _EPOCH) // timedelta(microseconds=1)
