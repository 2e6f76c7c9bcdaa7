"""Published lists in Postgres: versions, and the entries that each one brought, changed and removed.

Reads and writes screening_lists and screening_entries, nothing else. Guarantees: a version is stored whole or not at
all; versions of one source are stored one after the other; no content that an entry ever had is lost. Connections
are in autocommit mode: each function makes its own transactions.
"""

import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec
from psycopg import Connection
from psycopg.types.json import Jsonb

from payments.screening.entries import Delta, EntryKey, ListEntry, Source, delta
from payments.screening.index import NameIndex
from screening.lists.published import PublishedList

KEPT_AT_LEAST_PERCENT: Final = 80
"""A version that has fewer of the entries in force than this is taken for a truncated file."""

_IN_FORCE: Final = "SELECT source, uid, fingerprint FROM screening_entries WHERE source = %s AND until IS NULL"
_NEWEST: Final = "SELECT version, content_hash FROM screening_lists WHERE source = %s ORDER BY version DESC LIMIT 1"
_NEW_VERSION: Final = (
    "INSERT INTO screening_lists (source, content_hash, entries, skipped, label) VALUES (%s, %s, %s, %s, %s)"
    " RETURNING version"
)
_END: Final = "UPDATE screening_entries SET until = %s WHERE source = %s AND uid = ANY(%s) AND until IS NULL"
_COPY: Final = "COPY screening_entries (source, uid, since, fingerprint, content) FROM STDIN"
_CONTENTS: Final = "SELECT content FROM screening_entries WHERE until IS NULL ORDER BY source, uid"
_VERSIONS: Final = "SELECT source, max(version) FROM screening_lists GROUP BY source"


class LoadRefused(StrEnum):
    """Why a list was not stored."""

    EMPTY = "list_empty"
    SHRANK = "list_shrank"


class Loaded(NamedTuple):
    """The version in force after loading, and what it changed: nothing where the list was already in force."""

    version: int
    delta: Delta


class ListsInForce(NamedTuple):
    """All lists as they stand, ready to be searched, and the version of each."""

    names: NameIndex
    versions: Mapping[Source, int]

    @property
    def newest(self) -> int:
        """Versions are numbered through all sources; 0 where nothing was loaded."""
        return max(self.versions.values(), default=0)


def load_list(
    connection: Connection, published: PublishedList, *, label: str = "", may_shrink: bool = False
) -> Loaded | LoadRefused:
    """Store a list as the version in force of its source; `label`: what the publisher calls it. Raises ValueError for a
    uid that repeats, psycopg.Error.
    """
    source = published.source
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"screening list {source}",))
        old = {EntryKey(Source(name), uid): bytes(kept) for name, uid, kept in connection.execute(_IN_FORCE, (source,))}
        change = delta(old, published.entries)
        if not published.entries:
            return LoadRefused.EMPTY
        if not may_shrink and 100 * (len(old) - len(change.removed)) < KEPT_AT_LEAST_PERCENT * len(old):
            return LoadRefused.SHRANK
        content_hash = _content_hash(published.entries)
        newest = connection.execute(_NEWEST, (source,)).fetchone()
        if newest is not None and bytes(newest[1]) == content_hash:
            return Loaded(newest[0], change)
        skipped = Jsonb(dict(published.skipped))
        values = source, content_hash, len(published.entries), skipped, label
        row = connection.execute(_NEW_VERSION, values).fetchone()
        assert row is not None  # RETURNING
        _apply(connection, row[0], source, change)
        return Loaded(row[0], change)


def _content_hash(entries: Iterable[ListEntry]) -> bytes:
    return hashlib.sha256(b"".join(sorted(entry.fingerprint() for entry in entries))).digest()


def _apply(connection: Connection, version: int, source: Source, change: Delta) -> None:
    ended = [key.uid for key in change.removed] + [entry.uid for entry in change.changed]
    connection.execute(_END, (version, source, ended))
    with connection.cursor().copy(_COPY) as copy:
        for entry in change.to_screen():
            content = msgspec.json.encode(entry).decode()
            copy.write_row((source, entry.uid, version, entry.fingerprint(), content))


def lists_in_force(connection: Connection) -> ListsInForce:
    """Every list as it stands, in one snapshot."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        versions = {Source(source): version for source, version in connection.execute(_VERSIONS)}
        return ListsInForce(NameIndex(stored_entries(connection, _CONTENTS, ())), versions)


def stored_entries(connection: Connection, query: str, parameters: tuple[object, ...]) -> list[ListEntry]:
    """The entries whose content the query selects."""
    rows = connection.execute(query.encode(), parameters)
    return [msgspec.convert(content, ListEntry) for (content,) in rows]
