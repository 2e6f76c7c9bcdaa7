"""What a user's wallet holds: the account of each currency that the user's id stands for."""

from datetime import datetime
from typing import Final

from ingest_api.aliases.parties import USER, AliasName
from ingest_api.cash.moving import wallet_user
from ingest_api.cash.shown import WalletBalance
from ingest_api.http.call import Answer, Call
from ingest_api.http.resources import Balance, encode
from ingest_api.identity.tokens import Scope
from ingest_api.problems import Problem
from ingest_api.reads.accounts import find_balance
from ingest_api.reads.consistency import HEADER, await_visible
from ingest_api.services import Services
from ingest_api.statements.moments import past_utc
from payments.identifiers import format_id
from payments.rejections import Reason
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal

_ACCOUNTS: Final = """
SELECT account_id FROM aliases JOIN personal_index USING (digest, subject_id)
WHERE digest = %s AND valid_to IS NULL AND proven_at IS NOT NULL AND currency = coalesce(%s, currency)
ORDER BY currency"""


async def show_wallet(
    services: Services, call: Call, named: str | None, currency: str | None, at: datetime | None
) -> Answer:
    """Now or at a time, of the accounts of now. Raises Problem where the wallet is not for the caller,
    DatabaseUnavailable.
    """
    principal = services.tokens.principal(call.header(b"authorization"), Scope.ACCOUNTS_READ)
    token = call.header(HEADER.lower().encode())
    user = format_id(USER, wallet_user(principal, named, "?user"))
    digest = await services.aliases.digest(AliasName(Identifier.USER, Personal(user)), "?user")
    rows, past = await services.database.rows(_ACCOUNTS, (digest, currency)), past_utc(at)
    found = [await _balance(services, row["account_id"].bytes, token, past) for row in rows]
    return Answer(200, encode(WalletBalance(user, [balance for balance in found if balance is not None])))


async def _balance(services: Services, account: bytes, token: str | None, at: datetime | None) -> Balance | None:
    """None of an account that is not open: it has its names before it is opened, and opening may be refused."""
    try:
        if at is None:
            return await services.balances.find(account, token)
        await await_visible(services.database, token)
        return await find_balance(services.database, account, at)
    except Problem as problem:
        if problem.code is Reason.ACCOUNT_NOT_FOUND:
            return None
        raise
