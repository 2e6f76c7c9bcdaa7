"""Is the audit log what was written: the chain link by link, its end against a head that was kept elsewhere.

Reads audit_seals, audit_entries and audit_unsealed in one snapshot. Finds entries that were changed, deleted, put in
another order, added past the chain, and a chain that was cut short or made anew.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from ingest_api.audit_log.entry import AUDIT_ENTRY, GENESIS, chained
from ingest_api.audit_log.heads import HeadForged, Heads
from ingest_api.audit_log.store import COLUMNS, Head, entry_of
from payments.identifiers import format_id

DIFFERENCES_MAX: Final = 20
"""More are counted, not told."""

_FETCHED: Final = 1_000
_CHAIN: Final = f"""
SELECT seal.position, seal.entry_id AS sealed, seal.previous_hash, seal.hash, {COLUMNS}
FROM audit_seals AS seal LEFT JOIN audit_entries AS entry USING (entry_id)
WHERE seal.position > %s ORDER BY seal.position LIMIT %s"""
_HASH_AT: Final = "SELECT hash FROM audit_seals WHERE position = %s"
_LENGTH: Final = "SELECT coalesce(max(position), 0) AS length FROM audit_seals"
_UNSEALED: Final = """
SELECT count(*) FILTER (WHERE waiting.entry_id IS NOT NULL) AS waiting,
    count(*) FILTER (WHERE waiting.entry_id IS NULL) AS outside,
    (min(entry.entry_id::text) FILTER (WHERE waiting.entry_id IS NULL))::uuid AS first_outside
FROM audit_entries AS entry LEFT JOIN audit_seals AS seal USING (entry_id)
LEFT JOIN audit_unsealed AS waiting USING (entry_id) WHERE seal.entry_id IS NULL"""
_WHOLE: Final = 2**62


class Difference(msgspec.Struct, omit_defaults=True):
    """Where the log is not what was written. `position`: in the chain."""

    what: str
    position: int | None = None
    entry: str | None = None


class Verification(msgspec.Struct):
    """What was found. `verified`: entries of the chain that were looked at, up to `head_position`."""

    ok: bool
    verified: int
    head_position: int
    head_hash: str
    unsealed: int
    """Stored, and in the chain within a second."""
    differences: list[Difference]
    differences_found: int


class _Findings:
    def __init__(self) -> None:
        self.shown: list[Difference] = []
        self.count = 0

    def add(self, what: str, position: int | None = None, entry: UUID | None = None) -> None:
        self.count += 1
        if len(self.shown) < DIFFERENCES_MAX:
            name = format_id(AUDIT_ENTRY, entry.bytes) if entry is not None else None
            self.shown.append(Difference(what, position, name))


def verify(
    connection: Connection[Any], heads: Heads, kept: Iterable[Head] = (), *, after: int = 0, limit: int = _WHOLE
) -> Verification:
    """The chain from behind a position on, whose own hash is taken as it is; and, where that reaches the end, what is
    not in the chain. `kept`: heads that were kept elsewhere. Raises psycopg.Error.
    """
    found = _Findings()
    anchors = [*kept, *_published(heads, found)]  # before the snapshot, which so has all that they tell of
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _compare_heads(connection, anchors, found)
        verified, head = _follow(connection, _start(connection, after, found), limit, found)
        unsealed = _look_outside(connection, found) if verified < limit else 0
    position, hash_ = head
    return Verification(not found.count, verified, position, hash_.hex(), unsealed, found.shown, found.count)


def _published(heads: Heads, found: _Findings) -> list[Head]:
    try:
        head = heads.published()
    except HeadForged as forged:
        found.add(str(forged))
        return []
    return [head] if head is not None else []


def _start(connection: Connection[Any], after: int, found: _Findings) -> Head:
    hash_ = _hash_at(connection, after) if after else GENESIS
    if hash_ is None:
        found.add("no such position in the chain", after)
    return Head(after, hash_ or GENESIS)


def _follow(connection: Connection[Any], head: Head, limit: int, found: _Findings) -> tuple[int, Head]:
    verified = 0
    for row in _rows(connection, head.position, limit):
        _check(row, head, found)
        head = Head(row["position"], row["hash"])
        verified += 1
    return verified, head


def _check(row: DictRow, head: Head, found: _Findings) -> None:
    position = row["position"]
    if position != head.position + 1:
        missing = f"{head.position + 1} to {position - 1}" if position > head.position + 2 else f"{position - 1}"
        found.add(f"missing in the chain: {missing}", head.position + 1)
    elif row["previous_hash"] != head.hash:
        found.add("does not follow from the one before", position, row["sealed"])
    if row["entry_id"] is None:
        found.add("the entry was deleted", position, row["sealed"])
    elif chained(row["previous_hash"], position, entry_of(row)) != row["hash"]:
        found.add("the entry was changed, or is in another place", position, row["sealed"])


def _rows(connection: Connection[Any], after: int, limit: int) -> Iterator[DictRow]:
    with connection.cursor("audit_chain", row_factory=dict_row) as cursor:
        cursor.itersize = _FETCHED
        cursor.execute(_CHAIN.encode(), (after, limit))
        yield from cursor


def _compare_heads(connection: Connection[Any], heads: Iterable[Head], found: _Findings) -> None:
    length = _first(connection, _LENGTH)["length"]
    for head in heads:
        if head.position > length:
            found.add(f"the chain ends at {length}, and a published head is at {head.position}", head.position)
        elif _hash_at(connection, head.position) != head.hash:
            found.add("the chain is another one than that of a published head", head.position)


def _hash_at(connection: Connection[Any], position: int) -> bytes | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_HASH_AT, (position,)).fetchone()
    return row["hash"] if row is not None else None


def _look_outside(connection: Connection[Any], found: _Findings) -> int:
    row = _first(connection, _UNSEALED)
    if row["outside"]:
        found.add(f"{row['outside']} entries are not in the chain and do not wait for it", None, row["first_outside"])
    waiting: int = row["waiting"]
    return waiting


def _first(connection: Connection[Any], query: str) -> DictRow:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(query.encode()).fetchone()
    assert row is not None
    return row
