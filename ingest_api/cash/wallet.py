"""What a user's wallet holds: the account of each currency that the user's id stands for."""

from datetime import datetime
from typing import Final

from ingest_api.aliases.parties import USER, AliasName
from ingest_api.cash.moving import wallet_user
from ingest_api.cash.shown import WalletBalance
from ingest_api.identity.tokens import Principal
from ingest_api.reads.accounts import find_balance
from ingest_api.services import Services
from payments.identifiers import format_id
from runtime.personal_data.normal_forms import Identifier
from runtime.personal_data.personal import Personal

_ACCOUNTS: Final = """
SELECT account_id FROM aliases JOIN personal_index USING (digest, subject_id)
WHERE digest = %s AND valid_to IS NULL AND proven_at IS NOT NULL AND currency = coalesce(%s, currency)
ORDER BY currency"""


async def wallet_balance(
    services: Services, principal: Principal, named: str | None, currency: str | None, at: datetime | None
) -> WalletBalance:
    """Now or at a time, of the accounts of now. Raises Problem where the wallet is not for the principal,
    DatabaseUnavailable.
    """
    user = format_id(USER, wallet_user(principal, named, "?user"))
    digest = await services.aliases.digest(AliasName(Identifier.USER, Personal(user)), "?user")
    rows = await services.database.rows(_ACCOUNTS, (digest, currency))
    return WalletBalance(user, [await find_balance(services.database, row["account_id"].bytes, at) for row in rows])
