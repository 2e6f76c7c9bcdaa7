"""Identity in one API process: users, their passwords and sessions. The routes of people and of logins build on it.

Guarantees: nothing here is asked on the way of a payment; a token is verified without Postgres.
"""

from typing import Final

from ingest_api.identity.passwords.hashing import PasswordHasher
from ingest_api.identity.users.register import UserRegister
from ingest_api.reads.migrated import MigratedDatabase
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.store import PersonalData
from runtime.settings import Settings

MIGRATIONS: Final = "ingest_api.identity"
_CONNECTIONS: Final = 4
"""A login holds one for a few milliseconds, and two cores hash 55 passwords a second."""


class Identity:
    """Who calls, beyond the token. Everything but hashing runs on the loop."""

    def __init__(self, database: MigratedDatabase, personal: PersonalData) -> None:
        self._database = database
        self.users = UserRegister(database, personal)
        self.hasher = PasswordHasher()

    @classmethod
    def of(cls, settings: Settings) -> "Identity":
        """Raises KeyringFault."""
        personal = PersonalData(Keyring.of(settings))
        return cls(MigratedDatabase(settings, MIGRATIONS, _CONNECTIONS, personal), personal)

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()

    async def close(self) -> None:
        self.hasher.close()
        await self._database.close()
