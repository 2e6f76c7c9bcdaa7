"""A database with the tables of screening."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import Connection


@pytest.fixture
def connection(migrated: str) -> Iterator[Connection]:
    with psycopg.connect(migrated, autocommit=True) as opened:
        yield opened
