"""What a call to a bank needs and no log record holds: the bank's address and credentials, and an account's number.

Reads external_banks, aliases and, through runtime.personal_data, what lies sealed there; writes what came of questions
in bank_verifications.
"""

from typing import Final, NamedTuple, Self
from uuid import UUID

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from payments.identifiers import ALIAS, format_id
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.personal import Personal
from runtime.personal_data.rows import Connection, first_row
from runtime.personal_data.store import PersonalData
from runtime.settings import Settings
from schemas.tables.bank_verifications import Finding, ToldBank, field_of

CREDENTIALS: Final = "credentials"
"""Under which name they are sealed; the bank is the subject."""

_CONNECTIONS: Final = 4
"""A call outside takes 100 ms, two look-ups 2 ms: four are enough for every slot."""

_BANK: Final = "SELECT api_url FROM external_banks WHERE bank_id = %s"
_ANSWER: Final = "UPDATE bank_verifications SET result = %s WHERE verification_id = %s AND result IS NULL"
_HOLDER: Final = "SELECT subject_id FROM aliases WHERE alias_id = %s"


class Credentials(msgspec.Struct, frozen=True):
    """Of the OAuth 2.0 client that the bank knows us as."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return "Credentials(…)"


class Bank(NamedTuple):
    """Where a bank answers, and who we are there."""

    api_url: str
    credentials: Credentials


class Question(NamedTuple):
    """Whether a linked account is its user's."""

    id: bytes
    user: bytes
    account: bytes
    bank: bytes


class RegisterUnavailable(Exception):
    """Postgres does not answer in time, or has no such tables yet."""


class Register:
    """Look-ups on connections of its own. Every method raises RegisterUnavailable, Tampered, KeyringFault."""

    def __init__(self, database_url: str, keyring: Keyring) -> None:
        self._personal = PersonalData(keyring)
        self._pool = AsyncConnectionPool[Connection](
            database_url, min_size=0, max_size=_CONNECTIONS, timeout=5, open=False, kwargs={"autocommit": True}
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises KeyringFault."""
        return cls(settings.database_url, Keyring.of(settings))

    async def bank(self, bank: bytes) -> Bank | None:
        """A registered bank whose credentials are there."""
        try:
            await self._pool.open()
            async with self._pool.connection() as connection:
                row = await first_row(connection, _BANK, UUID(bytes=bank))
                if row is None:
                    return None
                sealed = (await self._personal.values(connection, bank, CREDENTIALS)).get(CREDENTIALS)
                return Bank(row[0], msgspec.json.decode(sealed.reveal(), type=Credentials)) if sealed else None
        except (psycopg.Error, PoolTimeout) as error:
            raise RegisterUnavailable from error

    async def number(self, account: bytes) -> Personal | None:
        """IBAN, or routing and account number, of a linked account; None once it is unlinked or its user erased."""
        try:
            await self._pool.open()
            async with self._pool.connection() as connection:
                row = await first_row(connection, _HOLDER, UUID(bytes=account))
                if row is None:
                    return None
                field = format_id(ALIAS, account)
                return (await self._personal.values(connection, row[0].bytes, field)).get(field)
        except (psycopg.Error, PoolTimeout) as error:
            raise RegisterUnavailable from error

    async def told(self, question: Question) -> ToldBank | None:
        """What its bank is to compare; None once it is answered or the user erased."""
        field = field_of(question.account)
        try:
            await self._pool.open()
            async with self._pool.connection() as connection:
                sealed = (await self._personal.values(connection, question.user, field)).get(field)
                return msgspec.json.decode(sealed.reveal(), type=ToldBank) if sealed is not None else None
        except (psycopg.Error, PoolTimeout) as error:
            raise RegisterUnavailable from error

    async def answered(self, question: Question, finding: Finding) -> None:
        """Tell the API, and forget what the bank was told."""
        try:
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(_ANSWER, (finding, UUID(bytes=question.id)))
                await self._personal.remove(connection, question.user, field_of(question.account))
        except (psycopg.Error, PoolTimeout) as error:
            raise RegisterUnavailable from error

    async def close(self) -> None:
        await self._pool.close()
