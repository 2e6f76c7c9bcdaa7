"""The register of banks and of what was asked of them.

Reads and writes external_banks and bank_transfers; credentials go in sealed and never come out here: connectors alone
read them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.reads.cursor import Cursor
from ingest_api.reads.database import Database
from payments.identifiers import NIL
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import PersonalData

CREDENTIALS: Final = "credentials"

_ENTER: Final = """
INSERT INTO external_banks (bank_id, bank_name, api_url, registered_by) VALUES (%s, %s, %s, %s)
ON CONFLICT DO NOTHING"""
_BANK: Final = "SELECT * FROM external_banks WHERE bank_id = %s"
_BANKS: Final = """
SELECT * FROM external_banks WHERE (registered_at, bank_id) > (coalesce(%s, '-infinity'::timestamptz), %s)
ORDER BY registered_at, bank_id LIMIT %s"""
_ASK: Final = """
INSERT INTO bank_transfers (transfer_id, bank_id, bank_account_id, account_id, is_collection, amount_minor, currency,
    asked_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""
_TRANSFER: Final = "SELECT * FROM bank_transfers WHERE transfer_id = %s"

BANKS_MAX: Final = 1_000


class ExternalBank(NamedTuple):
    """A row of external_banks."""

    bank: bytes
    name: str
    api_url: str
    registered_at: datetime


class Asked(NamedTuple):
    """Money between an account and a linked bank account: out of it, or, as a collection, into it."""

    bank: bytes
    bank_account: bytes
    account: bytes
    is_collection: bool
    amount_minor: int
    currency: str


class BankRegister:
    """Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, personal: PersonalData) -> None:
        self._database = database
        self._personal = personal

    async def enter(
        self, bank: bytes, name: str, api_url: str, credentials: Personal, by: str
    ) -> tuple[ExternalBank, bool]:
        """The bank as it is registered, and whether that was done now; credentials of a known one stay."""
        async with self._database.transaction() as connection:
            id_ = UUID(bytes=bank)
            made = await connection.execute(_ENTER, (id_, name, api_url, by))
            if made.rowcount:
                refusal = await self._personal.put(connection, bank, CREDENTIALS, credentials)
                assert refusal is None  # a bank is nobody who is erased
            [row] = await (await connection.execute(_BANK, (id_,))).fetchall()
            return _bank(row), made.rowcount == 1

    async def find(self, bank: bytes) -> ExternalBank | None:
        """One bank."""
        row = await self._database.row(_BANK, (UUID(bytes=bank),))
        return _bank(row) if row is not None else None

    async def banks(self, after: Cursor | None = None, limit: int = BANKS_MAX) -> list[ExternalBank]:
        """Those behind this one, in the order in which they were registered."""
        at, id_ = after or (None, UUID(bytes=NIL))
        return [_bank(row) for row in await self._database.page(_BANKS, (at, id_, limit))]

    async def ask(self, transfer: bytes, asked: Asked, by: str) -> Asked:
        """Keep what is about to be asked; what counts is what was asked first under this id."""
        id_, bank, bank_account, account = (UUID(bytes=id_) for id_ in (transfer, *asked[:3]))
        row = id_, bank, bank_account, account, *asked[3:], by
        async with self._database.transaction() as connection:
            await connection.execute(_ASK, row)
            [kept] = await (await connection.execute(_TRANSFER, (id_,))).fetchall()
            return _asked(kept)

    async def transfer(self, transfer: bytes) -> tuple[Asked, datetime] | None:
        """What was asked under this id, and when."""
        row = await self._database.row(_TRANSFER, (UUID(bytes=transfer),))
        return (_asked(row), row["asked_at"]) if row is not None else None


def _bank(row: Mapping[str, Any]) -> ExternalBank:
    return ExternalBank(row["bank_id"].bytes, row["bank_name"], row["api_url"], row["registered_at"])


def _asked(row: Mapping[str, Any]) -> Asked:
    return Asked(
        row["bank_id"].bytes,
        row["bank_account_id"].bytes,
        row["account_id"].bytes,
        row["is_collection"],
        row["amount_minor"],
        row["currency"],
    )
