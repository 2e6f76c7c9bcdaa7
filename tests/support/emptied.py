"""Databases with every table, for one test after the other: what a test has left behind is taken out again.

A copy of the migrated database costs up to 0.6 s of the kernel's time, for a thousand files; taking out the rows of a
dozen tables a twentieth of that. A database whose schema, rights or statistics a test has changed is dropped instead.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.support.environment import fresh_database

_SCHEMA: Final = """
WITH own AS (SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace)
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT concat_ws(' ', relname, relkind, relpersistence, relacl, reloptions, relrowsecurity, relowner) FROM own
    UNION ALL
    SELECT concat_ws(' ', relname, attname, atttypid, attnotnull, atthasdef, attacl, attstattarget)
    FROM own JOIN pg_attribute ON attrelid = own.oid
    UNION ALL
    SELECT concat_ws(' ', conname, conrelid, convalidated) FROM pg_constraint
    UNION ALL
    SELECT concat_ws(' ', tgname, tgrelid, tgenabled) FROM pg_trigger
    UNION ALL
    SELECT concat_ws(' ', proname, prosrc, proacl) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
    UNION ALL
    SELECT extname FROM pg_extension
    UNION ALL
    SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting
    JOIN pg_database ON pg_database.oid = setdatabase AND datname = current_database()
    UNION ALL
    SELECT concat_ws(' ', tablename, attname, n_distinct) FROM pg_stats WHERE schemaname = 'public'
) AS lines (line)"""
_TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_SEQUENCES: Final = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
_SET_SEQUENCE: Final = "SELECT setval(quote_ident(%s), coalesce(%s, 1), %s)"
_SIZE: Final = "SELECT pg_relation_size(quote_ident(%s)::regclass)"
_FEW_PAGES_BYTES: Final = 8 * 8_192
_END_OTHERS: Final = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""
_WITHOUT_RULES: Final = "-c session_replication_role=replica -c lock_timeout=5s"
"""Triggers that refuse a change are not asked. Who holds a table for so long has it dropped."""

Connection = psycopg.Connection


class _Contents(NamedTuple):
    """What a database is again when nothing of a test is left in it."""

    schema: str
    rows: dict[str, bytes]
    """Of the tables that have any, as COPY writes them: what migrations have put there."""

    sequences: dict[str, int | None]


class _Lent(NamedTuple):
    """One database."""

    url: str
    as_made: _Contents


class EmptiedDatabases:
    """One database at a time."""

    def __init__(self, server_url: str, migrated_url: str) -> None:
        self._server_url = server_url
        self._migrated_url = migrated_url
        self._made = ExitStack()
        self._free: _Lent | None = None

    @contextmanager
    def lent(self) -> Iterator[str]:
        """URL of a database with every table, and nothing in them."""
        lent, self._free = self._free or self._make(), None
        yield lent.url
        if _is_restored(lent):
            self._free = lent
        else:
            self.close()

    def close(self) -> None:
        """Drop what is there."""
        self._free = None
        self._made.close()

    def _make(self) -> _Lent:
        url = self._made.enter_context(fresh_database(self._server_url, self._migrated_url))
        with psycopg.connect(url) as connection:
            return _Lent(url, _contents(connection))


def _is_restored(lent: _Lent) -> bool:
    """True where it is as made again. False for what can't be taken out: it is dropped, with whoever holds it."""
    try:
        with psycopg.connect(_by_superuser(lent.url), options=_WITHOUT_RULES) as connection:
            connection.execute(_END_OTHERS)
            _empty(connection, lent.as_made)
            return _contents(connection) == lent.as_made
    except psycopg.Error:
        return False


def _by_superuser(url: str) -> str:
    """Tables that may only be appended to refuse even their owner."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"postgres@{parts.netloc.rpartition('@')[2]}"))


def _contents(connection: Connection) -> _Contents:
    [schema] = connection.execute(_SCHEMA).fetchone() or ("",)
    rows = {table: _copied_out(connection, table) for table in _filled(connection)}
    return _Contents(schema, rows, _sequences(connection))


def _empty(connection: Connection, as_made: _Contents) -> None:
    for table in _filled(connection):
        _empty_one(connection, table)
    for table, rows in as_made.rows.items():
        _copy_in(connection, table, rows)
    left = _sequences(connection)
    for name, value in as_made.sequences.items():
        if left.get(name) != value:
            connection.execute(_SET_SEQUENCE, (name, value, value is not None))


def _empty_one(connection: Connection, table: str) -> None:
    """New files cost more than the rows of a few pages."""
    [bytes_used] = connection.execute(_SIZE, (table,)).fetchone() or (0,)
    empty = "DELETE FROM {}" if bytes_used <= _FEW_PAGES_BYTES else "TRUNCATE {} CASCADE"
    connection.execute(sql.SQL(empty).format(sql.Identifier(table)))


def _filled(connection: Connection) -> Sequence[str]:
    """Tables with rows."""
    tables = [table for (table,) in connection.execute(_TABLES)]
    asked = (
        sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(sql.Literal(table), sql.Identifier(table))
        for table in tables
    )
    return [table for (table,) in connection.execute(sql.SQL(" UNION ALL ").join(asked))]


def _sequences(connection: Connection) -> dict[str, int | None]:
    return dict(connection.execute(_SEQUENCES).fetchall())


def _copied_out(connection: Connection, table: str) -> bytes:
    with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
        return b"".join(bytes(part) for part in copy)


def _copy_in(connection: Connection, table: str, rows: bytes) -> None:
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
        copy.write(rows)
