"""A database with the project's tables, a keyring of its own, and connections as the API has them."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from runtime.personal_data.keyring import Keyring, new_document
from runtime.personal_data.store import PersonalData

ANNA, BERTA = b"anna's sixteen b", b"berta's sixteen "


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.read(new_document(), "a test")


@pytest.fixture
def personal(keyring: Keyring) -> PersonalData:
    return PersonalData(keyring)


@pytest.fixture
async def connection(migrated: str) -> AsyncIterator[AsyncConnection[DictRow]]:
    async with await psycopg.AsyncConnection.connect(migrated, autocommit=True, row_factory=dict_row) as opened:
        yield opened
