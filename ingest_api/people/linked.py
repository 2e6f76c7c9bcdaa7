"""Linked bank accounts as Postgres has them: the alias of kind `bank_account`, and what was told and tried beside it.

Reads aliases and linked_bank_accounts, writes the latter. The alias is the link: who ends it, or proves it, does that
in ingest_api/aliases. Guarantees: of three tries at the amounts none is given twice, however many come at once.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.aliases.parties import USER
from ingest_api.audit_log.witness import Witness
from ingest_api.reads.database import Database
from payments.identifiers import ALIAS, BANK_ACCOUNT, format_id
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal
from runtime.personal_data.store import PersonalData
from schemas.tables.security_actions import SecurityAction

TRIES_MAX: Final = 3
EXPIRES_AFTER: Final = timedelta(days=10)
"""From the link: a bank shows what came in after three working days at most."""

LINKED_MAX: Final = 20
"""Of a user at a time."""

_SELECT: Final = f"""
SELECT alias_id, aliases.subject_id, account_id, currency, valid_from, coalesce(valid_to, erased_at) AS valid_to,
    proven_at IS NOT NULL AND valid_to IS NULL AS verified, told.*, clock_timestamp() AS now
FROM aliases JOIN subject_keys USING (subject_id) LEFT JOIN personal_index USING (digest, subject_id)
LEFT JOIN linked_bank_accounts AS told ON bank_account_id = alias_id
WHERE kind = '{Identifier.BANK_ACCOUNT}'"""
_ONE: Final = f"{_SELECT} AND alias_id = %s"
_OF_USER: Final = f"""{_SELECT} AND aliases.subject_id = %(user)s AND valid_to IS NULL AND erased_at IS NULL
AND (%(since)s::timestamptz IS NULL OR valid_from >= %(since)s)
AND (%(until)s::timestamptz IS NULL OR valid_from < %(until)s)
ORDER BY valid_from, alias_id LIMIT %(limit)s"""
_TELL: Final = """
INSERT INTO linked_bank_accounts (bank_account_id, user_id, bank_id, bank_name, bank_phone_number, bank_email)
VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1 AS told"""
_SENT: Final = """
UPDATE linked_bank_accounts SET deposits_sent_at = coalesce(deposits_sent_at, now()) WHERE bank_account_id = %s
RETURNING 1 AS sent"""
_TRY: Final = f"""
UPDATE linked_bank_accounts SET tries = tries + 1 WHERE bank_account_id = %s AND tries < {TRIES_MAX}
RETURNING 1 AS tried"""
_VERIFIED: Final = """
UPDATE linked_bank_accounts SET tries = tries - 1, verified_by = %s WHERE bank_account_id = %s AND verified_by IS NULL
RETURNING 1 AS verified"""


_CARD: Final = "SELECT debit_card_id FROM user_cards WHERE user_id = %s"
_SET_CARD: Final = """
INSERT INTO user_cards (user_id, debit_card_id) VALUES (%s, %s)
ON CONFLICT (user_id) DO UPDATE SET debit_card_id = excluded.debit_card_id RETURNING 1 AS told"""


class LinkStatus(StrEnum):
    """Where a link stands."""

    PENDING = "pending"
    VERIFIED = "verified"
    FAILED = "failed"
    """The amounts were guessed wrong too often. Unlink it and link it again."""
    EXPIRED = "expired"
    UNLINKED = "unlinked"


class VerifiedBy(StrEnum):
    """How a link was proved. What an operator has seen stands with the alias alone."""

    MICRO_DEPOSITS = "micro_deposits"
    BANK = "bank"


class BankTold(NamedTuple):
    """What a user tells of the bank, and the registered one that it is, if any."""

    bank: bytes | None
    name: str
    phone_number: str
    email: str


class LinkedBankAccount(NamedTuple):
    """One link. The number is gone once it is unlinked."""

    id: bytes
    user: bytes
    account: bytes
    currency: str
    linked_at: datetime
    status: LinkStatus
    told: BankTold
    deposits_sent_at: datetime | None
    tries: int
    number: Personal | None


class LinkedBankAccounts:
    """Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, personal: PersonalData) -> None:
        self._database = database
        self._personal = personal

    async def find(self, id_: bytes) -> LinkedBankAccount | None:
        """One link, ended ones too."""
        found = await self._read(_ONE, (UUID(bytes=id_),))
        return found[0] if found else None

    async def of_user(
        self, user: bytes, since: datetime | None = None, until: datetime | None = None
    ) -> list[LinkedBankAccount]:
        """A user's bank accounts, in the order in which they were linked, between two times."""
        parameters = {"user": UUID(bytes=user), "since": since, "until": until, "limit": LINKED_MAX}
        return await self._read(_OF_USER, parameters)

    async def tell(self, id_: bytes, user: bytes, told: BankTold, witness: Witness) -> None:
        """What was told when the link was made; the first time counts."""
        bank = UUID(bytes=told.bank) if told.bank is not None else None
        async with self._database.transaction() as connection:
            entered = await connection.execute(_TELL, (UUID(bytes=id_), UUID(bytes=user), bank, *told[1:]))
            if entered.rowcount:
                after = {"bank_account": format_id(BANK_ACCOUNT, id_), "status": LinkStatus.PENDING}
                name = format_id(USER, user)
                await witness.saw(SecurityAction.BANK_ACCOUNT_LINKED, name, connection, after=after)

    async def deposits_sent(self, id_: bytes) -> None:
        """The two amounts are on their way."""
        await self._database.rows(_SENT, (UUID(bytes=id_),))

    async def take_try(self, id_: bytes) -> bool:
        """Count a try before it is looked at; False where none is left."""
        async with self._database.transaction() as connection:
            return (await connection.execute(_TRY, (UUID(bytes=id_),))).rowcount == 1

    async def verified(self, id_: bytes, by: VerifiedBy) -> None:
        """The try was right."""
        await self._database.rows(_VERIFIED, (by, UUID(bytes=id_)))

    async def card(self, user: bytes) -> str:
        """The token of the user's debit card, empty where none was told."""
        row = await self._database.row(_CARD, (UUID(bytes=user),))
        return row["debit_card_id"] if row is not None else ""

    async def set_card(self, user: bytes, token: str) -> None:
        """Another card from now on."""
        await self._database.rows(_SET_CARD, (UUID(bytes=user), token))

    async def _read(self, query: str, parameters: Any) -> list[LinkedBankAccount]:
        async with self._database.transaction() as connection:
            rows = await (await connection.execute(query.encode(), parameters)).fetchall()
            if not rows:
                return []
            fields = [format_id(ALIAS, row["alias_id"].bytes) for row in rows]
            numbers = await self._personal.values(connection, rows[0]["subject_id"].bytes, *fields)
        return [_linked(row, numbers.get(field)) for row, field in zip(rows, fields, strict=True)]


def _linked(row: Mapping[str, Any], number: Personal | None) -> LinkedBankAccount:
    bank = row["bank_id"].bytes if row["bank_id"] is not None else None
    return LinkedBankAccount(
        row["alias_id"].bytes,
        row["subject_id"].bytes,
        row["account_id"].bytes,
        row["currency"],
        row["valid_from"],
        _status(row),
        BankTold(bank, row["bank_name"] or "", row["bank_phone_number"] or "", row["bank_email"] or ""),
        row["deposits_sent_at"],
        row["tries"] or 0,
        number,
    )


def _status(row: Mapping[str, Any]) -> LinkStatus:
    if row["valid_to"] is not None:
        return LinkStatus.UNLINKED
    if row["verified"]:
        return LinkStatus.VERIFIED
    if (row["tries"] or 0) >= TRIES_MAX:
        return LinkStatus.FAILED
    return LinkStatus.EXPIRED if row["now"] > row["valid_from"] + EXPIRES_AFTER else LinkStatus.PENDING
