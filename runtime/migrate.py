"""Numbered plain SQL files of a package, applied once each and in order: `<package>/migrations/0001_name.sql`.

Reads the files and the table schema_migrations, writes both schema and table. Guarantees: one runner at a time (an
advisory lock), a file and its row in schema_migrations commit together, and a file that was applied is never different
from what it was. Each package numbers its files from 1.

A file whose first line is `-- no-transaction` runs outside a transaction (CREATE INDEX CONCURRENTLY). It must hold one
statement that may run twice, because a crash can fall between it and its row.
"""

import hashlib
import re
import threading
import time
from enum import StrEnum
from importlib.resources import files
from typing import NamedTuple

import psycopg
from psycopg import Connection

from runtime.postgres import connect

NO_TRANSACTION = "-- no-transaction"
LOCK_DEADLINE_S = 60
_LOCK_KEY = 0x6D696C6C72616365  # "millrace" in ASCII: one lock per database
_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    package text NOT NULL,
    version integer NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (package, version)
)"""


class MigrationRefused(Exception):
    """The files and the database contradict each other; nothing was changed."""


class Migration(NamedTuple):
    """One file. The checksum is the SHA-256 of its bytes."""

    version: int
    name: str
    sql: str
    checksum: str


class State(StrEnum):
    """Where a migration stands in a database."""

    APPLIED = "applied"
    PENDING = "pending"
    EDITED = "edited"
    UNKNOWN = "unknown"
    """Applied by a newer release: there is no such file here."""


class Status(NamedTuple):
    """A migration, and where it stands."""

    version: int
    name: str
    state: State


def up(dsn: str, package: str, *, stopping: threading.Event | None = None) -> list[str]:
    """Apply what is pending; the names of the files applied. Raises MigrationRefused, TimeoutError, psycopg.Error;
    StoppedWaiting where Postgres let nobody in until it was told to stop.
    """
    with connect(dsn, "millrace migrate", stopping=stopping) as connection:
        connection.autocommit = True
        connection.execute("SET statement_timeout = 0")  # building an index over months of rows takes its time
        _lock(connection)
        connection.execute(_TABLE)
        _refuse_contradictions(package, _statuses(connection, package))
        return [_apply(connection, package, migration) for migration in _pending(connection, package)]


def migrations(package: str) -> list[Migration]:
    """The files of a package by version. Raises MigrationRefused where the numbers are not 1, 2, 3 …"""
    found = []
    for file in (files(package) / "migrations").iterdir():
        if file.name.endswith(".sql"):
            found.append(_read(file.name, file.read_bytes()))
    found.sort()
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationRefused(
            f"{package}: migrations must be numbered 0001, 0002 … without gap or repeat;"
            f" found {', '.join(migration.name for migration in found)}"
        )
    return found


def _read(name: str, content: bytes) -> Migration:
    matched = _FILE_NAME.fullmatch(name)
    if matched is None:
        raise MigrationRefused(f"{name}: a migration is named 0001_what_it_does.sql")
    return Migration(int(matched[1]), name, content.decode(), hashlib.sha256(content).hexdigest())


def _lock(connection: Connection) -> None:
    """Asked again and again rather than waited for: a waiting statement's snapshot would block CREATE INDEX
    CONCURRENTLY in the runner that holds the lock. Ends with the session.
    """
    give_up_at = time.monotonic() + LOCK_DEADLINE_S
    while not _scalar(connection, "SELECT pg_try_advisory_lock(%s)", _LOCK_KEY):
        if time.monotonic() >= give_up_at:
            raise TimeoutError(f"another process has been migrating this database for {LOCK_DEADLINE_S} s")
        time.sleep(0.1)


def _statuses(connection: Connection, package: str) -> list[Status]:
    applied = _applied(connection, package)
    statuses = [
        Status(migration.version, migration.name, _state(migration, applied)) for migration in migrations(package)
    ]
    known = {line.version for line in statuses}
    return statuses + [Status(version, "?", State.UNKNOWN) for version in sorted(applied.keys() - known)]


def _state(migration: Migration, applied: dict[int, str]) -> State:
    checksum = applied.get(migration.version)
    if checksum is None:
        return State.PENDING
    return State.APPLIED if checksum == migration.checksum else State.EDITED


def _applied(connection: Connection, package: str) -> dict[int, str]:
    if not _scalar(connection, "SELECT to_regclass(%s) IS NOT NULL", "schema_migrations"):
        return {}
    rows = connection.execute("SELECT version, checksum FROM schema_migrations WHERE package = %s", (package,))
    return {int(version): str(checksum) for version, checksum in rows}


def _refuse_contradictions(package: str, statuses: list[Status]) -> None:
    for line in statuses:
        if line.state is State.EDITED:
            raise MigrationRefused(
                f"{package}: {line.name} was applied to this database and has been edited since;"
                " restore the file and put the change into a new one"
            )
        if line.state is State.UNKNOWN:
            raise MigrationRefused(
                f"{package}: this database is at version {line.version}, which this release does not know;"
                " run the newer release"
            )


def _pending(connection: Connection, package: str) -> list[Migration]:
    applied = _applied(connection, package)
    return [migration for migration in migrations(package) if migration.version not in applied]


def _apply(connection: Connection, package: str, migration: Migration) -> str:
    if migration.sql.startswith(NO_TRANSACTION):
        connection.execute(migration.sql.encode())
        _record(connection, package, migration)
    else:
        with connection.transaction():
            connection.execute(migration.sql.encode())
            _record(connection, package, migration)
    return migration.name


def _record(connection: Connection, package: str, migration: Migration) -> None:
    connection.execute(
        "INSERT INTO schema_migrations (package, version, checksum) VALUES (%s, %s, %s)",
        (package, migration.version, migration.checksum),
    )


def _scalar(connection: Connection, query: psycopg.abc.QueryNoTemplate, *parameters: object) -> object:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row is not None else None
