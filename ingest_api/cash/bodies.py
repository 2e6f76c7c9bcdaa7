"""What may be sent about money from and to the outside."""

import msgspec

from ingest_api.http.bodies import DepositBody


class WalletBody(DepositBody, forbid_unknown_fields=True, frozen=True):
    """Pay into or out of a user's wallet: the account that the user's id stands for in this currency. Without `user`
    it is the caller's.
    """

    user: str | None = None


class ReturnBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Say that a deposit or a withdrawal came back. `code` is the one with which its method's network returns it: R01,
    AC04, A …
    """

    code: str
