"""The register of second factors: enrolled, confirmed by a code, asked for, given up.

Reads and writes second_factors and recovery_codes; the secret is a personal value. Guarantees: a code is taken once,
whoever else sends it at the same moment to whichever process, and none of before it is taken after it.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple
from uuid import UUID

from ingest_api.aliases.parties import USER
from ingest_api.audit_log.witness import Witness
from ingest_api.identity.second_factor.totp import (
    is_code,
    matching_step,
    new_recovery_codes,
    new_secret,
    normal_recovery_code,
    provisioning_uri,
)
from ingest_api.reads.database import Database
from payments.identifiers import format_id
from runtime.personal_data.blind_index import digest_of_text
from runtime.personal_data.personal import Personal
from runtime.personal_data.rows import Connection, first_row
from runtime.personal_data.store import PersonalData
from schemas.tables.security_actions import SecurityAction

_SECRET: Final = "second_factor.secret"
_ENROL: Final = """
INSERT INTO second_factors (user_id) VALUES (%s)
ON CONFLICT (user_id) DO UPDATE SET enrolled_at = now() WHERE second_factors.confirmed_at IS NULL
RETURNING user_id"""
_LOCK: Final = "SELECT confirmed_at IS NOT NULL, last_step FROM second_factors WHERE user_id = %s FOR UPDATE"
_STANDS: Final = "SELECT FROM second_factors WHERE user_id = %s AND confirmed_at IS NOT NULL"
_TAKE_STEP: Final = """
UPDATE second_factors SET last_step = %s, confirmed_at = coalesce(confirmed_at, now()) WHERE user_id = %s"""
_TAKE_RECOVERY_CODE: Final = """
UPDATE recovery_codes SET used_at = now() WHERE user_id = %s AND code_digest = %s AND used_at IS NULL"""
_FORGET_CODES: Final = "DELETE FROM recovery_codes WHERE user_id = %s"
_ADD_CODE: Final = "INSERT INTO recovery_codes (user_id, code_digest) VALUES (%s, %s)"
_DISABLE: Final = "DELETE FROM second_factors WHERE user_id = %s"


class Enrolment(NamedTuple):
    """What the user's app has to know; shown once."""

    secret: Personal
    uri: str


class SecondFactors:
    """Every method raises DatabaseUnavailable, KeyringFault."""

    def __init__(
        self,
        database: Database,
        personal: PersonalData,
        index_key: bytes,
        issuer: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._personal = personal
        self._index_key = index_key
        self._issuer = issuer
        self._clock = clock

    async def stands(self, user: bytes) -> bool:
        """True where the user has confirmed one: every login needs it."""
        return await self._database.row(_STANDS, (UUID(bytes=user),)) is not None

    async def enrol(self, user: bytes, username: Personal, witness: Witness | None = None) -> Enrolment | None:
        """A fresh secret, of no effect until it is confirmed; None where there is a confirmed one."""
        secret = new_secret()
        async with self._database.transaction() as connection:
            if await first_row(connection, _ENROL, UUID(bytes=user)) is None:
                return None
            if await self._personal.put(connection, user, _SECRET, secret) is not None:
                return None
            await _note(connection, witness, SecurityAction.SECOND_FACTOR_ENROLLED, user)
        return Enrolment(secret, provisioning_uri(secret, username, self._issuer))

    async def confirm(self, user: bytes, code: str, witness: Witness | None = None) -> list[str] | None:
        """The recovery codes, shown once; None where nothing waits to be confirmed by this code."""
        async with self._database.transaction() as connection:
            row = await first_row(connection, _LOCK, UUID(bytes=user))
            if row is None or row[0] or not await self._take_step(connection, user, code, 0):
                return None
            await _note(connection, witness, SecurityAction.SECOND_FACTOR_CONFIRMED, user)
            return await self._fresh_recovery_codes(connection, user)

    async def take(self, user: bytes, code: str) -> bool:
        """True for a valid code of the app or a recovery code, which are never taken again."""
        async with self._database.transaction() as connection:
            row = await first_row(connection, _LOCK, UUID(bytes=user))
            if row is None or not row[0]:
                return False
            if is_code(code):
                return await self._take_step(connection, user, code, row[1])
            taken = await connection.execute(_TAKE_RECOVERY_CODE, (UUID(bytes=user), self._digest(user, code)))
            return taken.rowcount == 1

    async def replace_recovery_codes(self, user: bytes, witness: Witness | None = None) -> list[str]:
        """Those of before are good for nothing."""
        async with self._database.transaction() as connection:
            await _note(connection, witness, SecurityAction.RECOVERY_CODES_REPLACED, user)
            return await self._fresh_recovery_codes(connection, user)

    async def disable(self, user: bytes, witness: Witness | None = None) -> None:
        """With its secret and its recovery codes."""
        async with self._database.transaction() as connection:
            await _note(connection, witness, SecurityAction.SECOND_FACTOR_DISABLED, user)
            await connection.execute(_DISABLE, (UUID(bytes=user),))
            await self._personal.remove(connection, user, _SECRET)

    async def _take_step(self, connection: Connection, user: bytes, code: str, after: int) -> bool:
        secret = (await self._personal.values(connection, user, _SECRET)).get(_SECRET)
        step = matching_step(secret, code, self._clock(), after) if secret is not None else None
        if step is None:
            return False
        await connection.execute(_TAKE_STEP, (step, UUID(bytes=user)))
        return True

    async def _fresh_recovery_codes(self, connection: Connection, user: bytes) -> list[str]:
        codes = list(new_recovery_codes())
        await connection.execute(_FORGET_CODES, (UUID(bytes=user),))
        async with connection.cursor() as cursor:
            await cursor.executemany(_ADD_CODE, self._rows(user, codes))
        return codes

    def _rows(self, user: bytes, codes: Iterable[str]) -> list[tuple[UUID, bytes]]:
        return [(UUID(bytes=user), self._digest(user, code)) for code in codes]

    def _digest(self, user: bytes, code: str) -> bytes:
        return digest_of_text(self._index_key, f"recovery code\0{user.hex()}", normal_recovery_code(code))


async def _note(connection: Connection, witness: Witness | None, action: SecurityAction, user: bytes) -> None:
    """Whether there is one before and after is what the action says."""
    if witness is not None:
        await witness.saw(action, format_id(USER, user), connection)
