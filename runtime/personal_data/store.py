"""What is known about a subject: values under the subject's own key, and the claims by which the subject is found.

Reads and writes subject_keys, personal_values and personal_index on the caller's connection and inside the caller's
transaction, so that a value, its claim and whatever the caller keeps about them commit together. Guarantees: nothing is
stored beside or after an erasure, and one subject at a time has proved a value.
"""

import os
from enum import StrEnum
from typing import Final
from uuid import UUID

import psycopg

from runtime.personal_data import sealing
from runtime.personal_data.blind_index import digest_of
from runtime.personal_data.keyring import KEY_BYTES, Keyring, KeyringFault
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal
from runtime.personal_data.rows import Connection, all_rows, first_row
from runtime.personal_data.sealing import WrappedKey

_SAME_INDEX_KEY: Final = """
INSERT INTO personal_index_key (fingerprint) VALUES (%s)
ON CONFLICT (single) DO UPDATE SET fingerprint = personal_index_key.fingerprint
RETURNING fingerprint"""
_UNKNOWN_WRAPPING_KEYS: Final = """
SELECT DISTINCT wrapping_key FROM subject_keys WHERE wrapping_key IS NOT NULL AND wrapping_key <> ALL(%s)"""
_ADD_SUBJECT: Final = """
INSERT INTO subject_keys (subject_id, wrapping_key, wrapped, fingerprint) VALUES (%s, %s, %s, %s)
ON CONFLICT DO NOTHING"""
_NEXT_VERSION: Final = """
UPDATE subject_keys SET last_version = last_version + 1 WHERE subject_id = %s
RETURNING wrapping_key, wrapped, last_version"""
_HOLD: Final = "SELECT 1 FROM subject_keys WHERE subject_id = %s FOR UPDATE"
_PUT: Final = """
INSERT INTO personal_values (subject_id, field, version, sealed) VALUES (%s, %s, %s, %s)
ON CONFLICT (subject_id, field)
DO UPDATE SET version = excluded.version, sealed = excluded.sealed, stored_at = excluded.stored_at"""
_VALUES: Final = """
SELECT wrapping_key, wrapped, field, version, sealed FROM subject_keys JOIN personal_values USING (subject_id)
WHERE subject_id = %s AND (%s::text[] IS NULL OR field = ANY(%s)) ORDER BY field"""
_REMOVE: Final = "DELETE FROM personal_values WHERE subject_id = %s AND field = %s"
_CLAIM: Final = """
INSERT INTO personal_index (digest, subject_id, index_name)
SELECT %s, subject_id, %s FROM subject_keys WHERE subject_id = %s AND wrapped IS NOT NULL FOR SHARE
ON CONFLICT (digest, subject_id) DO UPDATE SET index_name = excluded.index_name
RETURNING digest"""
_PROVE: Final = """
UPDATE personal_index SET proven_at = coalesce(proven_at, now()) WHERE digest = %s AND subject_id = %s"""
_RELEASE: Final = "UPDATE personal_index SET proven_at = NULL WHERE digest = %s AND subject_id = %s"
_OWNER: Final = "SELECT subject_id FROM personal_index WHERE digest = %s AND proven_at IS NOT NULL"


class Refusal(StrEnum):
    """Why something is not stored."""

    SUBJECT_ERASED = "subject_erased"
    TAKEN = "taken"
    """Somebody else has proved that the value is theirs."""


class PersonalData:
    """The rows about persons, with the keys that make them readable."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def require_same_keys(self, connection: Connection) -> None:
        """Raises KeyringFault where these keys are not those that the rows were made with. The first caller of an empty
        database sets the index key.
        """
        ours = sealing.fingerprint(self._keyring.index_key)
        theirs = await first_row(connection, _SAME_INDEX_KEY, ours)
        if theirs != (ours,):
            raise KeyringFault(
                "the index key is not the one that this database's digests were made with: nobody would be found."
                " Restore that key; a database of its own needs a keyring of its own"
            )
        for (name,) in await all_rows(connection, _UNKNOWN_WRAPPING_KEYS, list(self._keyring.wrapping_keys)):
            self._keyring.wrapping_key(name)

    async def put(self, connection: Connection, subject: bytes, field: str, value: Personal) -> Refusal | None:
        """Store a value in the place of the one before. A new subject gets a key."""
        await self._add_subject(connection, subject)
        [(name, wrapped, version)] = await all_rows(connection, _NEXT_VERSION, UUID(bytes=subject))
        if wrapped is None:
            return Refusal.SUBJECT_ERASED
        key = sealing.unwrap(self._keyring, subject, WrappedKey(name, wrapped))
        sealed = sealing.seal_value(key, subject, field, version, value.reveal())
        await connection.execute(_PUT, (UUID(bytes=subject), field, version, sealed))
        return None

    async def _add_subject(self, connection: Connection, subject: bytes) -> None:
        key = os.urandom(KEY_BYTES)
        wrapped = sealing.wrap(self._keyring, subject, key)
        await connection.execute(_ADD_SUBJECT, (UUID(bytes=subject), *wrapped, sealing.fingerprint(key)))

    async def hold(self, connection: Connection, subject: bytes) -> None:
        """Nobody else stores, claims or erases anything of this subject until the caller commits."""
        await connection.execute(_HOLD, (UUID(bytes=subject),))

    async def values(self, connection: Connection, subject: bytes, *fields: str) -> dict[str, Personal]:
        """These fields (none named: all) as far as they are there. Raises Tampered, KeyringFault."""
        wanted = list(fields) or None
        rows = await all_rows(connection, _VALUES, UUID(bytes=subject), wanted, wanted)
        if not rows:
            return {}
        key = sealing.unwrap(self._keyring, subject, WrappedKey(*rows[0][:2]))
        return {
            field: Personal(sealing.open_value(key, subject, field, version, sealed))
            for _, _, field, version, sealed in rows
        }

    async def remove(self, connection: Connection, subject: bytes, field: str) -> None:
        """Forget one value."""
        await connection.execute(_REMOVE, (UUID(bytes=subject), field))

    def digest(self, index: str, kind: Identifier, value: Personal) -> bytes | None:
        """Where this value stands in an index, or None where it is not of its kind."""
        return digest_of(self._keyring.index_key, index, kind, value)

    async def claim(self, connection: Connection, index: str, digest: bytes, subject: bytes) -> Refusal | None:
        """Enter a subject that has stored something. It is found by the digest once it has proved it."""
        entered = await first_row(connection, _CLAIM, digest, index, UUID(bytes=subject))
        return None if entered else Refusal.SUBJECT_ERASED

    async def prove(self, connection: Connection, digest: bytes, subject: bytes) -> Refusal | None:
        """The claimed value is this subject's from now on. Refused while it is proved by another one."""
        try:
            async with connection.transaction():
                await connection.execute(_PROVE, (digest, UUID(bytes=subject)))
        except psycopg.errors.UniqueViolation:
            return Refusal.TAKEN
        return None

    async def release(self, connection: Connection, digest: bytes, subject: bytes) -> None:
        """The value may be proved by another subject."""
        await connection.execute(_RELEASE, (digest, UUID(bytes=subject)))

    async def owner(self, connection: Connection, index: str, kind: Identifier, value: Personal) -> bytes | None:
        """The subject that has proved this value. Known, unknown and malformed values cost the same work: one digest
        and one look at an index.
        """
        digest = self.digest(index, kind, value) or b""
        row = await first_row(connection, _OWNER, digest)
        return bytes(row[0].bytes) if row else None
