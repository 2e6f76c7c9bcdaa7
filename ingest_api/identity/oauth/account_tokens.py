"""Tokens of `/v1/generate_token/{account_id}`: one per user and account is kept and answered again.

Reads and writes account_tokens; the token itself lies sealed among the user's personal values. Guarantees: a token of a
session that is over, or that is about to expire, is not answered again.
"""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from ingest_api.reads.database import Database
from payments.identifiers import ACCOUNT, format_id
from runtime.personal_data.personal import Personal
from runtime.personal_data.rows import first_row
from runtime.personal_data.store import PersonalData

LEFT_S_MIN: Final = 30
"""A token with less left is not worth to be answered again."""

_KEEP: Final = """
INSERT INTO account_tokens (user_id, account_id, session_id, expires_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (user_id, account_id) DO UPDATE SET session_id = excluded.session_id, expires_at = excluded.expires_at"""
_VALID: Final = f"""
SELECT account_tokens.expires_at FROM account_tokens JOIN sessions USING (session_id)
WHERE account_tokens.user_id = %s AND account_id = %s AND ended_at IS NULL
AND account_tokens.expires_at > now() + interval '{LEFT_S_MIN} seconds'"""


class AccountToken(NamedTuple):
    """An access token and when it expires."""

    token: Personal
    expires_at: datetime


class AccountTokens:
    """Every method raises DatabaseUnavailable, KeyringFault."""

    def __init__(self, database: Database, personal: PersonalData) -> None:
        self._database = database
        self._personal = personal

    async def keep(self, user: bytes, account: bytes, session: bytes, token: AccountToken) -> None:
        """In the place of the one before."""
        async with self._database.transaction() as connection:
            if await self._personal.put(connection, user, _field(account), token.token) is None:
                row = UUID(bytes=user), UUID(bytes=account), UUID(bytes=session), token.expires_at
                await connection.execute(_KEEP, row)

    async def valid(self, user: bytes, account: bytes) -> AccountToken | None:
        """The one that is kept, where it is still good."""
        field = _field(account)
        async with self._database.transaction() as connection:
            row = await first_row(connection, _VALID, UUID(bytes=user), UUID(bytes=account))
            token = (await self._personal.values(connection, user, field)).get(field) if row is not None else None
        return AccountToken(token, row[0]) if row is not None and token is not None else None


def _field(account: bytes) -> str:
    return f"token.{format_id(ACCOUNT, account)}"
