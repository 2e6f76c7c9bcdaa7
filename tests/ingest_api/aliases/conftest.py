"""Aliases on a real Postgres, without Kafka: what they resolve to is decided before anything is sent."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from ingest_api.aliases.parties import AliasName
from ingest_api.aliases.register import Misfit, Registered, Registration
from ingest_api.aliases.service import Aliases
from ingest_api.reads.database import WRITING, Database
from runtime.personal_data.keyring import Keyring, new_document
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import Refusal

ANNA, BERTA = bytes([1]) * 16, bytes([2]) * 16
FIRST, SECOND, THIRD = (bytes([number]) * 16 for number in (0x21, 0x22, 0x23))
MAIL = "Anna@Example.com"


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.read(new_document(), "a test")


@pytest.fixture
async def aliases(migrated: str, keyring: Keyring) -> AsyncIterator[Aliases]:
    """As one API process has them."""
    made = Aliases(Database(migrated, 4, 100, WRITING), keyring)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def connection(migrated: str) -> AsyncIterator[AsyncConnection[DictRow]]:
    async with await psycopg.AsyncConnection.connect(migrated, autocommit=True, row_factory=dict_row) as opened:
        yield opened


class Clerk:
    """Registers aliases, each under an id of its own."""

    def __init__(self, aliases: Aliases) -> None:
        self.aliases = aliases
        self._ids = 0

    async def asked(self, account: bytes, **changes: Any) -> Registration:
        """Anna's verified e-mail address for this account, unless it is said otherwise."""
        self._ids += 1
        own_id = bytes([0x70, self._ids]) * 8
        kind, value = changes.pop("kind", Identifier.EMAIL), Personal(changes.pop("value", MAIL))
        digest = await self.aliases.digest(AliasName(kind, value), "/value")
        asked = Registration(own_id, ANNA, kind, value, digest, account, "EUR", True)
        return asked._replace(**changes)

    async def tries(self, account: bytes, **changes: Any) -> Registered | Refusal | Misfit:
        return await self.aliases.register.register(await self.asked(account, **changes), "clerk")

    async def registers(self, account: bytes, **changes: Any) -> Registered:
        registered = await self.tries(account, **changes)
        assert isinstance(registered, Registered), registered
        return registered


@pytest.fixture
def clerk(aliases: Aliases) -> Clerk:
    return Clerk(aliases)
