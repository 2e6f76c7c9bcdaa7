"""Entries into Postgres, and from there into the chain.

Reads and writes audit_entries, audit_unsealed and audit_seals. Guarantees: entries get consecutive positions, each
once, whichever processes seal and whichever dies: positions, hashes and the end of waiting commit together.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from psycopg.types.json import Jsonb

from ingest_api.audit_log.entry import GENESIS, Entry, chained
from runtime.personal_data.rows import Connection

SEALED_AT_ONCE: Final = 200
"""Hashing so many holds the loop up for 2 ms."""

_LOCK_KEY: Final = 0x6D72617564697400  # "mraudit": one process seals at a time
_INSERT: Final = """
INSERT INTO audit_entries (entry_id, at, actor, credential, action, object, before, after, request_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""
"""An entry whose commit was not answered comes a second time."""

_LOCK: Final = "SELECT pg_try_advisory_xact_lock(%s) AS mine"
_LAST: Final = "SELECT position, hash FROM audit_seals ORDER BY position DESC LIMIT 1"
COLUMNS: Final = ", ".join(f"entry.{field}" for field in Entry._fields)
_WAITING: Final = f"""
SELECT {COLUMNS} FROM audit_unsealed JOIN audit_entries AS entry USING (entry_id)
ORDER BY entry.at, entry.entry_id LIMIT {SEALED_AT_ONCE}"""
_SEAL: Final = "INSERT INTO audit_seals (position, entry_id, previous_hash, hash) VALUES (%s, %s, %s, %s)"
_SEALED: Final = "DELETE FROM audit_unsealed WHERE entry_id = ANY(%s)"


class Head(NamedTuple):
    """How long the chain is, and its last hash."""

    position: int
    hash: bytes


class Seal(NamedTuple):
    """A row of audit_seals."""

    position: int
    entry_id: Any
    previous_hash: bytes
    hash: bytes


async def insert(connection: Connection, entries: Iterable[Entry]) -> None:
    """Part of the caller's transaction."""
    async with connection.cursor() as cursor:
        await cursor.executemany(_INSERT, [_row(entry) for entry in entries])


def entry_of(row: dict[str, Any]) -> Entry:
    """The entry of a row with COLUMNS."""
    return Entry(*(row[field] for field in Entry._fields))


async def seal_waiting(connection: Connection) -> Head | None:
    """One step, in the caller's transaction: the new head, or None where nothing waits or another process seals."""
    [lock] = await (await connection.execute(_LOCK, (_LOCK_KEY,))).fetchall()
    waiting = await (await connection.execute(_WAITING.encode())).fetchall() if lock["mine"] else []
    if not waiting:
        return None
    last = await (await connection.execute(_LAST)).fetchone()
    head = Head(last["position"], last["hash"]) if last is not None else Head(0, GENESIS)
    seals = list(_seals(head, map(entry_of, waiting)))
    async with connection.cursor() as cursor:
        await cursor.executemany(_SEAL, seals)
    await connection.execute(_SEALED, ([seal.entry_id for seal in seals],))
    return Head(seals[-1].position, seals[-1].hash)


def _seals(head: Head, entries: Iterable[Entry]) -> Iterable[Seal]:
    position, previous = head
    for entry in entries:
        position += 1
        hash_ = chained(previous, position, entry)
        yield Seal(position, entry.entry_id, previous, hash_)
        previous = hash_


def _row(entry: Entry) -> tuple[Any, ...]:
    before, after = (Jsonb(values) if values is not None else None for values in (entry.before, entry.after))
    return entry._replace(before=before, after=after)  # type: ignore[arg-type]
