"""Identity in one API process: users, what they log in with, and their sessions.

Guarantees: nothing here is asked on the way of a payment, a token is verified without Postgres; what was ended anywhere
is refused here LOOK_S later, and without Postgres when its access token expires: five minutes at most.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg

from ingest_api.identity.directories.ldap import LdapPasswords
from ingest_api.identity.keys import SigningKeyFault, SigningKeys
from ingest_api.identity.oauth.account_tokens import AccountTokens
from ingest_api.identity.oauth.clients import ClientRegister
from ingest_api.identity.oauth.logins import Logins
from ingest_api.identity.passwords.checking import OwnPasswords, PasswordCheck
from ingest_api.identity.passwords.hashing import PasswordHasher
from ingest_api.identity.passwords.throttle import SWEEP, Throttle
from ingest_api.identity.second_factor.register import SecondFactors
from ingest_api.identity.sessions.register import SWEEPS, SessionRegister
from ingest_api.identity.tokens import TokenVerifier
from ingest_api.identity.users.register import UserRegister
from ingest_api.identity.users.user import Field
from ingest_api.reads.database import Database, DatabaseUnavailable, end_asking
from ingest_api.reads.migrated import MigratedDatabase
from runtime import migrate
from runtime.personal_data.keyring import Keyring, KeyringFault
from runtime.personal_data.store import PersonalData
from runtime.settings import Settings

LOGGER: Final = logging.getLogger("millrace.identity")
MIGRATIONS: Final = "ingest_api.identity"

LOOK_S: Final = 1
"""How often each process asks which sessions were ended: one look at an index, 0.3 ms."""

_OVERLAP: Final = timedelta(seconds=10)
"""A row may become visible later than its time says: a statement takes 5 s at most."""

_SWEEP_LOOKS: Final = 3_600
_CONNECTIONS: Final = 4
"""A login holds one for a few milliseconds, and two cores hash 55 passwords a second."""


class Identity:
    """Who calls, beyond the token. Everything but hashing runs on the loop."""

    def __init__(self, settings: Settings, keyring: Keyring, verifier: TokenVerifier, writing: Database) -> None:
        personal = PersonalData(keyring)
        self._database = database = MigratedDatabase(writing, settings.database_url, MIGRATIONS, _CONNECTIONS, personal)
        self._verifier = verifier
        self._token_life = timedelta(seconds=settings.auth_access_token_s)
        self._seen = datetime.now(UTC) - self._token_life
        self._looking: asyncio.Task[None] | None = None
        self.keys = SigningKeys.of(settings)
        self.hasher = PasswordHasher()
        told = {Field.EMAIL: settings.smtp_host, Field.PHONE: settings.sms_url}
        self.users = UserRegister(database, personal, [field for field, provider in told.items() if provider])
        self.passwords: PasswordCheck = (
            LdapPasswords(settings, self.users)
            if settings.auth_backend == "ldap"
            else OwnPasswords(self.users, self.hasher)
        )
        self.sessions = SessionRegister(database, settings)
        self.factors = SecondFactors(database, personal, keyring.index_key, settings.api_token_issuer)
        self.clients = ClientRegister(database)
        self.throttle = Throttle(database, keyring.index_key)
        self.account_tokens = AccountTokens(database, personal)
        self.logins = Logins(settings, self)

    @classmethod
    def of(cls, settings: Settings, verifier: TokenVerifier, writing: Database) -> "Identity":
        """Raises KeyringFault, SigningKeyFault."""
        return cls(settings, Keyring.of(settings), verifier, writing)

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()
        self._looking = asyncio.create_task(self._look_again_and_again())

    async def close(self) -> None:
        await end_asking(self._looking)
        self.hasher.close()
        await self._database.close()

    async def look(self) -> None:
        """Refuse what was ended since the last look, wherever that was. Raises DatabaseUnavailable, SigningKeyFault."""
        self._verifier.look_at_keys()
        ended = await self.sessions.ended_since(self._seen - _OVERLAP)
        if ended:
            self._seen = max(at for _, at in ended)
            self._verifier.refuse_sessions({session: (at + self._token_life).timestamp() for session, at in ended})

    async def sweep(self) -> None:
        """Forget failures of yesterday and what is left of sessions that are long over."""
        for statement in (SWEEP, *SWEEPS):
            async with self._database.transaction() as connection:
                await connection.execute(statement.encode())

    async def _look_again_and_again(self) -> None:
        looks = 0
        while True:
            try:
                await self.look()
                if looks % _SWEEP_LOOKS == 0:
                    await self.sweep()
                looks += 1
            except DatabaseUnavailable:
                LOGGER.debug("Postgres does not answer: the next look does it")
            except (psycopg.Error, migrate.MigrationRefused, KeyringFault, SigningKeyFault) as fault:
                LOGGER.warning("a look at ended sessions failed: %s", " ".join(str(fault).split()))
            await asyncio.sleep(LOOK_S)
