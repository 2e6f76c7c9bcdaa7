"""API keys in one API process: the register, what calls come with, and the secrets that sign."""

from typing import Final

from ingest_api.audit_log.log import AuditLog
from ingest_api.identity.machines.key import Algorithm, ApiKey, hmac_secret
from ingest_api.identity.machines.known import KnownKeys
from ingest_api.identity.machines.nonces import Nonces
from ingest_api.identity.machines.register import ApiKeyRegister
from ingest_api.identity.users.register import UserRegister
from ingest_api.reads.database import Database
from ingest_api.reads.migrated import MigratedDatabase
from runtime.personal_data.keyring import Keyring
from runtime.settings import Settings

MIGRATIONS: Final = "ingest_api.identity.machines"
_CONNECTIONS: Final = 4
"""Signed requests wait for a commit each: four are about 600 a second."""


class Machines:
    """Everything runs on the loop."""

    def __init__(self, database: MigratedDatabase, index_key: bytes, users: UserRegister, audit: AuditLog) -> None:
        self._database = database
        self._index_key = index_key
        self.register = ApiKeyRegister(database, audit)
        self.known = KnownKeys(self.register, users)
        self.nonces = Nonces(database)

    @classmethod
    def of(cls, settings: Settings, users: UserRegister, audit: AuditLog, writing: Database) -> "Machines":
        """Raises KeyringFault."""
        database = MigratedDatabase(writing, settings.database_url, MIGRATIONS, _CONNECTIONS)
        return cls(database, Keyring.of(settings).index_key, users, audit)

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    def hmac_secret(self, key_id: bytes) -> bytes:
        """The secret of an hmac-sha256 key: shown once, when it is made."""
        return hmac_secret(self._index_key, key_id)

    def verification_key(self, key: ApiKey) -> bytes:
        """What a signature of this key is checked with."""
        if key.algorithm is Algorithm.HMAC:
            return self.hmac_secret(key.key_id)
        assert key.public_key is not None
        return key.public_key
