"""Questions to banks about linked bank accounts, left in bank_verifications for the connectors to answer.

Guarantees: a code is one question, however often it is sent; of the three tries of a link each question counts as one
before it is asked, and one that nobody has answered is given back.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from ingest_api.aliases.pins import request_digest
from ingest_api.people.linked import TRIES_MAX, LinkedBankAccount
from ingest_api.reads.database import Database
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import PersonalData, Refusal
from schemas.tables.bank_verifications import Finding, ToldBank, field_of

ASKED_FOR: Final = timedelta(seconds=60)
"""How long a question may wait for the connectors, which take 30 s at most, before it counts as unanswered."""

_LOCK: Final = "SELECT tries FROM linked_bank_accounts WHERE bank_account_id = %s FOR UPDATE"
_ASKED: Final = "SELECT verification_id, result FROM bank_verifications WHERE bank_account_id = %s"
_TRY: Final = "UPDATE linked_bank_accounts SET tries = tries + 1 WHERE bank_account_id = %s"
_ASK: Final = """
INSERT INTO bank_verifications (bank_account_id, verification_id, user_id, bank_id) VALUES (%s, %s, %s, %s)
ON CONFLICT (bank_account_id) DO UPDATE SET verification_id = excluded.verification_id, bank_id = excluded.bank_id,
    asked_at = excluded.asked_at, taken_at = NULL, result = NULL"""
_FINDING: Final = """
SELECT CASE WHEN asked_at < now() - %s THEN coalesce(result, 'unanswered') ELSE result END AS result
FROM bank_verifications WHERE bank_account_id = %s AND verification_id = %s"""
_FORGET: Final = "DELETE FROM bank_verifications WHERE bank_account_id = %s AND verification_id = %s"
_GIVE_BACK: Final = "UPDATE linked_bank_accounts SET tries = tries - 1 WHERE bank_account_id = %s"


class BankVerifications:
    """Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, personal: PersonalData) -> None:
        self._database = database
        self._personal = personal

    async def ask(self, linked: LinkedBankAccount, bank: bytes, told: ToldBank) -> bytes | Refusal | None:
        """The id of the question, asked now or before; None where the link has no try left."""
        id_, account = _question(linked, told), UUID(bytes=linked.id)
        async with self._database.transaction() as connection:
            [row] = await (await connection.execute(_LOCK, (account,))).fetchall()
            asked = await (await connection.execute(_ASKED, (account,))).fetchone()
            if asked is not None and asked["verification_id"].bytes == id_:
                return id_
            if row["tries"] >= TRIES_MAX:
                return None
            sealed = Personal(msgspec.json.encode(told).decode())
            refusal = await self._personal.put(connection, linked.user, field_of(linked.id), sealed)
            if refusal is not None:
                return refusal
            await connection.execute(_TRY, (account,))
            await connection.execute(_ASK, (account, UUID(bytes=id_), UUID(bytes=linked.user), UUID(bytes=bank)))
        return id_

    async def finding(self, linked: LinkedBankAccount, question: bytes) -> Finding | None:
        """What has come of it; None where nothing has yet."""
        row = await self._database.row(_FINDING, (ASKED_FOR, UUID(bytes=linked.id), UUID(bytes=question)))
        return Finding(row["result"]) if row is not None and row["result"] is not None else None

    async def give_back(self, linked: LinkedBankAccount, question: bytes) -> None:
        """Nobody has answered it: it may be asked again, and was no try."""
        account = UUID(bytes=linked.id)
        async with self._database.transaction() as connection:
            forgotten = await connection.execute(_FORGET, (account, UUID(bytes=question)))
            if forgotten.rowcount:
                await connection.execute(_GIVE_BACK, (account,))
                await self._personal.remove(connection, linked.user, field_of(linked.id))


def _question(linked: LinkedBankAccount, told: ToldBank) -> bytes:
    return request_digest(b"bank verification", linked.id.hex(), told.code)[:16]
