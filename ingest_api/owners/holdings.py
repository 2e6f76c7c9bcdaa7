"""The accounts of a user as Postgres shows them: what they are, the user's role, what they hold.

A user's default account of a currency is the one that the user's id stands for as an alias: there is no other record of
it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.owners.rights import Role
from ingest_api.reads.cursor import Cursor
from ingest_api.reads.database import Database
from payments.accounts import AccountStatus, AccountType

WALLET_ACCOUNTS_MAX: Final = 1_000

_SELECT: Final = """
SELECT held.account_id, held.role, held.since, type, status, account.currency,
    coalesce(posted_minor, 0) AS posted_minor, coalesce(available_minor, 0) AS available_minor,
    EXISTS (
        SELECT FROM aliases AS alias
        WHERE digest = %(user_id_digest)s AND subject_id = held.user_id AND alias.account_id = held.account_id
        AND valid_to IS NULL
    ) AS is_default
FROM account_owners AS held JOIN accounts AS account USING (account_id) LEFT JOIN balances USING (account_id)
WHERE held.user_id = %(user)s AND held.until IS NULL"""
_PAGE: Final = f"""{_SELECT}
AND (%(at)s::timestamptz IS NULL OR (held.since, held.account_id) < (%(at)s, %(id)s::uuid))
ORDER BY held.since DESC, held.account_id DESC LIMIT %(limit)s"""
_WALLET: Final = f"""{_SELECT}
AND type = {AccountType.WALLET:d} AND status <> {AccountStatus.CLOSED:d} AND role <> '{Role.VIEWER}'
ORDER BY currency, held.since LIMIT {WALLET_ACCOUNTS_MAX}"""


_DEFAULT: Final = f"""
SELECT * FROM ({_SELECT}) AS held WHERE is_default AND currency = coalesce(%(currency)s, currency)
ORDER BY since, account_id LIMIT 1"""

ACCOUNTS_MAX: Final = 100
"""Of a user, whose payments or entries are listed together: each is looked up by itself, in both directions."""

_ACCOUNTS: Final = f"""
SELECT account_id FROM account_owners WHERE user_id = %s AND until IS NULL
ORDER BY since DESC, account_id LIMIT {ACCOUNTS_MAX}"""


class Holding(NamedTuple):
    """An account in which a user has a part."""

    account: UUID
    role: str
    since: datetime
    type: AccountType
    status: AccountStatus
    currency: str
    posted_minor: int
    available_minor: int
    is_default: bool


class Asked(NamedTuple):
    """Whose accounts, and the digest of the user's id as an alias."""

    user: bytes
    user_id_digest: bytes


async def page(database: Database, asked: Asked, after: Cursor | None, limit: int) -> list[Holding]:
    """The user's accounts, the latest first. Raises DatabaseUnavailable."""
    keyset = {
        "at": after.decided_at if after else None,
        "id": after.payment_id if after else None,
        "limit": limit,
    }
    return [_holding(row) for row in await database.page(_PAGE, _parameters(asked) | keyset)]


async def accounts_of(database: Database, user: bytes) -> list[bytes]:
    """The accounts in which the user has a part, the latest first. Raises DatabaseUnavailable."""
    rows = await database.rows(_ACCOUNTS, (UUID(bytes=user),))
    return [row["account_id"].bytes for row in rows]


async def wallet(database: Database, asked: Asked) -> list[Holding]:
    """The user's own open wallet accounts by currency. Raises DatabaseUnavailable."""
    return [_holding(row) for row in await database.rows(_WALLET, _parameters(asked))]


async def default_account(database: Database, asked: Asked, currency: str | None = None) -> Holding | None:
    """The user's default account in this currency; without one the first that became a default of any. Raises
    DatabaseUnavailable.
    """
    row = await database.row(_DEFAULT, _parameters(asked) | {"currency": currency})
    return _holding(row) if row is not None else None


def _parameters(asked: Asked) -> dict[str, Any]:
    return {"user": UUID(bytes=asked.user), "user_id_digest": asked.user_id_digest}


def _holding(row: Mapping[str, Any]) -> Holding:
    return Holding(
        row["account_id"],
        row["role"],
        row["since"],
        AccountType(row["type"]),
        AccountStatus(row["status"]),
        row["currency"],
        row["posted_minor"],
        row["available_minor"],
        row["is_default"],
    )
