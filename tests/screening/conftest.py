"""A database with the tables of screening."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import Connection

from runtime import migrate


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    migrate.up(database, "screening")
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened
