"""The register of machines that log in with a secret (RFC 6749 §4.4): made and given up by operators."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from typing import Final, NamedTuple

from ingest_api.audit_log.witness import Witness
from ingest_api.reads.database import Database
from schemas.tables.security_actions import SecurityAction

_CLIENT_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
"""Without an underscore, so it is no user's id."""

_SECRET_BYTES: Final = 32
_ADD: Final = """
INSERT INTO oauth_clients (client_id, secret_hash, scopes, created_by) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"""
_FIND: Final = "SELECT secret_hash, scopes FROM oauth_clients WHERE client_id = %s AND revoked_at IS NULL"
_REVOKE: Final = "UPDATE oauth_clients SET revoked_at = now() WHERE client_id = %s AND revoked_at IS NULL"


class Client(NamedTuple):
    """A machine and what it may be given."""

    client_id: str
    scopes: frozenset[str]


class ClientRegister:
    """Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, client_id: str, scopes: Collection[str], by: str, witness: Witness | None = None
    ) -> str | None:
        """The secret, shown once; None where the id is taken. Raises ValueError for an id of another form."""
        if not _CLIENT_ID.fullmatch(client_id):
            raise ValueError("a client id has lower-case letters, digits and hyphens, 63 at most, a letter first")
        secret = "mcs_" + secrets.token_urlsafe(_SECRET_BYTES)
        async with self._database.transaction() as connection:
            added = await connection.execute(_ADD, (client_id, _hash(secret), sorted(scopes), by))
            if witness is not None and added.rowcount:
                after = {"scopes": sorted(scopes)}
                await witness.saw(SecurityAction.CLIENT_CREATED, client_id, connection, after=after)
        return secret if added.rowcount == 1 else None

    async def authenticate(self, client_id: str, secret: str) -> Client | None:
        """The client of this id and secret."""
        row = await self._database.row(_FIND, (client_id,))
        known = row["secret_hash"] if row is not None else bytes(32)
        if not hmac.compare_digest(known, _hash(secret)) or row is None:
            return None
        return Client(client_id, frozenset(row["scopes"]))

    async def revoke(self, client_id: str, witness: Witness | None = None) -> bool:
        """No further token is given to it; those that it has live for five minutes at most."""
        async with self._database.transaction() as connection:
            revoked = (await connection.execute(_REVOKE, (client_id,))).rowcount == 1
            if witness is not None and revoked:
                await witness.saw(SecurityAction.CLIENT_REVOKED, client_id, connection)
            return revoked


def _hash(secret: str) -> bytes:
    """256 random bits need no slow hash: nobody can try them all."""
    return hashlib.sha256(secret.encode()).digest()
