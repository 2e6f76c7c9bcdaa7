"""The register of API keys: made, listed, rolled, revoked; each with its entry in the audit log, in one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from ingest_api.audit_log.entry import Values
from ingest_api.audit_log.log import AuditLog
from ingest_api.identity.machines.key import KEY, ApiKey, key_of_row
from ingest_api.owners.register import By
from ingest_api.reads.cursor import Cursor
from ingest_api.reads.migrated import MigratedDatabase
from payments.identifiers import format_id
from runtime.personal_data.rows import Connection
from schemas.tables.security_actions import SecurityAction

KEYS_MAX: Final = 100
"""Valid keys of one subject."""

_COUNT: Final = """
SELECT count(*) AS valid FROM api_keys
WHERE subject = %s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"""
_INSERT: Final = """
INSERT INTO api_keys (key_id, name, subject, scopes, algorithm, prefix, secret_hash, public_key, networks, created_at,
    expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::cidr[], %s, %s)"""
_OWN: Final = "SELECT * FROM api_keys WHERE key_id = %s AND subject = %s"
_PAGE: Final = """
SELECT * FROM api_keys
WHERE subject = %(subject)s AND (%(at)s::timestamptz IS NULL OR (created_at, key_id) < (%(at)s, %(id)s::uuid))
ORDER BY created_at DESC, key_id DESC LIMIT %(limit)s"""
_REVOKE: Final = "UPDATE api_keys SET revoked_at = now() WHERE key_id = %s AND revoked_at IS NULL"
_ROLLED: Final = "UPDATE api_keys SET rolled_to = %s, expires_at = least(expires_at, %s) WHERE key_id = %s"
_BY_PREFIX: Final = "SELECT * FROM api_keys WHERE prefix = %s"
_BY_ID: Final = "SELECT * FROM api_keys WHERE key_id = %s"
_USED: Final = "UPDATE api_keys SET last_used_at = now() WHERE key_id = %s"
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


class ApiKeyRegister:
    """Every method raises DatabaseUnavailable."""

    def __init__(self, database: MigratedDatabase, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def create(self, key: ApiKey, by: By) -> bool:
        """False where the subject has too many already."""
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, (f"api keys of {key.subject}",))
            row = await (await connection.execute(_COUNT, (key.subject,))).fetchone()
            assert row is not None
            if row["valid"] >= KEYS_MAX:
                return False
            await self._insert(connection, key, by, SecurityAction.API_KEY_CREATED)
        return True

    async def roll(self, before: ApiKey, after: ApiKey, until: datetime, by: By) -> None:
        """Another key in the place of one, which works until then."""
        async with self._database.transaction() as connection:
            await self._insert(connection, after, by, SecurityAction.API_KEY_CREATED)
            rolled = UUID(bytes=after.key_id), until, UUID(bytes=before.key_id)
            await connection.execute(_ROLLED, rolled)
            told = {"rolled_to": format_id(KEY, after.key_id), "expires_at": until.isoformat()}
            await self._record(connection, before, by, SecurityAction.API_KEY_ROLLED, told)

    async def revoke(self, key: ApiKey, by: By) -> None:
        """From now on nobody is let in with it; again does nothing."""
        async with self._database.transaction() as connection:
            revoked = await connection.execute(_REVOKE, (UUID(bytes=key.key_id),))
            if revoked.rowcount:
                await self._record(connection, key, by, SecurityAction.API_KEY_REVOKED, None)

    async def find_own(self, subject: str, key_id: bytes) -> ApiKey | None:
        """A key of this subject."""
        return _one(await self._database.rows(_OWN, (UUID(bytes=key_id), subject)))

    async def page(self, subject: str, after: Cursor | None, limit: int) -> list[ApiKey]:
        """Keys of a subject, the latest first."""
        place = {"at": after.decided_at if after else None, "id": after.payment_id if after else None}
        rows = await self._database.page(_PAGE, {"subject": subject, "limit": limit} | place)
        return [key_of_row(row) for row in rows]

    async def find_by_prefix(self, prefix: str) -> ApiKey | None:
        """Whatever became of it."""
        return _one(await self._database.rows(_BY_PREFIX, (prefix,)))

    async def find(self, key_id: bytes) -> ApiKey | None:
        """Whatever became of it."""
        return _one(await self._database.rows(_BY_ID, (UUID(bytes=key_id),)))

    async def used(self, key_id: bytes) -> None:
        """Now."""
        async with self._database.transaction() as connection:
            await connection.execute(_USED, (UUID(bytes=key_id),))

    async def _insert(self, connection: Connection, key: ApiKey, by: By, action: SecurityAction) -> None:
        networks = [str(network) for network in key.networks]
        row = UUID(bytes=key.key_id), key.name, key.subject, sorted(key.scopes), key.algorithm, key.prefix
        await connection.execute(
            _INSERT, (*row, key.secret_hash, key.public_key, networks, key.created_at, key.expires_at)
        )
        expires = key.expires_at.isoformat() if key.expires_at is not None else None
        told: Values = {"algorithm": key.algorithm, "scopes": sorted(key.scopes), "networks": networks}
        await self._record(connection, key, by, action, {**told, "expires_at": expires})

    async def _record(
        self, connection: Connection, key: ApiKey, by: By, action: SecurityAction, after: Values | None
    ) -> None:
        name = format_id(KEY, key.key_id)
        await self._audit.record(by.actor, action, name, request_id=by.request_id, after=after, connection=connection)


def _one(rows: Sequence[dict[str, Any]]) -> ApiKey | None:
    return key_of_row(rows[0]) if rows else None
