"""Everything that the sandbox has answered, in one SQLite file: what a request changed and what it was answered commit
together, so that a kill -9 at any time leaves either both or neither.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from connectors.sandbox.refusal import JsonObject

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (number INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, body TEXT);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, number);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, fingerprint TEXT, status INTEGER, body TEXT, created_s INT);
CREATE TABLE IF NOT EXISTS deliveries (event_id TEXT PRIMARY KEY, attempts INTEGER, due_s REAL);
"""


class SavedAnswer(NamedTuple):
    """What a key was first answered."""

    fingerprint: str
    status: int
    body: str
    created_s: int


class Delivery(NamedTuple):
    """An event that a webhook endpoint has not taken yet."""

    event_id: str
    attempts: int
    due_s: float


class Store:
    """One connection, used by one thread."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(_TABLES)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, or nothing where the block raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def put(self, kind: str, body: JsonObject) -> None:
        """Add an object, or change it."""
        self._connection.execute(
            "INSERT INTO objects (id, kind, body) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (body["id"], kind, json.dumps(body)),
        )

    def find(self, object_id: str) -> JsonObject | None:
        row = self._connection.execute("SELECT body FROM objects WHERE id = ?", (object_id,)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def newest_first(self, kind: str) -> Iterator[JsonObject]:
        rows = self._connection.execute("SELECT body FROM objects WHERE kind = ? ORDER BY number DESC", (kind,))
        for (body,) in rows:
            yield dict(json.loads(body))

    def answer_to(self, key: str) -> SavedAnswer | None:
        query = "SELECT fingerprint, status, body, created_s FROM answers WHERE key = ?"
        row = self._connection.execute(query, (key,)).fetchone()
        return None if row is None else SavedAnswer(*row)

    def save_answer(self, key: str, answer: SavedAnswer) -> None:
        self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", (key, *answer))

    def add_delivery(self, event_id: str, due_s: float) -> None:
        self._connection.execute("INSERT OR REPLACE INTO deliveries VALUES (?, 0, ?)", (event_id, due_s))

    def due_deliveries(self, now_s: float) -> list[Delivery]:
        rows = self._connection.execute("SELECT * FROM deliveries WHERE due_s <= ? ORDER BY rowid", (now_s,))
        return [Delivery(*row) for row in rows]

    def postpone(self, event_id: str, due_s: float) -> None:
        self._connection.execute(
            "UPDATE deliveries SET attempts = attempts + 1, due_s = ? WHERE event_id = ?", (due_s, event_id)
        )

    def delivered(self, event_id: str) -> None:
        """Taken, or given up."""
        self._connection.execute("DELETE FROM deliveries WHERE event_id = ?", (event_id,))
