"""A database with the tables of the ledger and of reconciliation, and files to bring."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from reconciliation.store.importing import Brought, Imported, import_file
from runtime import migrate

Bring = Callable[..., Imported]


@pytest.fixture
def books(migrated: str) -> Iterator[Connection]:
    migrate.up(migrated, "reconciliation")
    with psycopg.connect(migrated, autocommit=True) as connection:
        yield connection


@pytest.fixture
def bring(books: Connection, tmp_path: Path) -> Bring:
    """Writes a file and imports it."""

    def run(name: str, content: str | bytes, source: str = "bank") -> Imported:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return import_file(books, path, Brought(source, "fatima"))

    return run
