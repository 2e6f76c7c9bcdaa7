"""People in one API process: registered banks and linked bank accounts, with the connections that they share."""

from typing import Final, Self

from ingest_api.external_banks.register import BankRegister
from ingest_api.people.linked import LinkedBankAccounts
from ingest_api.people.small_amounts import SmallAmounts
from ingest_api.people.verifications import BankVerifications
from ingest_api.reads.database import Database
from ingest_api.reads.migrated import MigratedDatabase
from runtime.personal_data.keyring import Keyring
from runtime.personal_data.store import PersonalData
from runtime.settings import Settings

MIGRATIONS: Final = "ingest_api.people"
_CONNECTIONS: Final = 2
"""Links are rare, and a transfer over a bank takes two statements of a millisecond."""


class People:
    """The registers."""

    def __init__(self, database: MigratedDatabase, personal: PersonalData, small_amounts: SmallAmounts) -> None:
        self._database = database
        self.banks = BankRegister(database, personal)
        self.linked = LinkedBankAccounts(database, personal)
        self.verifications = BankVerifications(database, personal)
        self.small_amounts = small_amounts

    @classmethod
    def of(cls, settings: Settings, writing: Database) -> Self:
        """Raises KeyringFault."""
        keyring = Keyring.of(settings)
        personal = PersonalData(keyring)
        database = MigratedDatabase(writing, settings.database_url, MIGRATIONS, _CONNECTIONS, personal)
        return cls(database, personal, SmallAmounts(keyring.index_key))

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()
