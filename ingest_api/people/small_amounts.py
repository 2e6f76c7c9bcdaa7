"""The two amounts that are sent to a bank account to see whose it is, and the ledger movements that send them.

The amounts follow from the link's id and the installation's key, so nothing keeps them and a repeat sends the same.
They are payouts of an account of the operator's per currency, each under a key of its own: sent once, however often
they are asked for.
"""

import hashlib
import hmac
from typing import Final

from payments.commands import NO_REPLY, Command, CommandKind
from payments.commerce.bank_accounts import BankAccount
from payments.identifiers import NIL, derive_account_id
from payments.movements.instructions import Envelope, PayOut
from payments.terms.providers import BANK

COUNT: Final = 2
MINOR_MAX: Final = 99
"""1 to 99 each: three guesses at both, in either order, are right once in 1,600 links."""

OVERDRAFT_MINOR: Final = 100_000_000
"""What verifications may have cost the operator before the account is filled up: at 100 each a million links."""

_OPENED_FOR: Final = "millrace: small amounts"


class SmallAmounts:
    """Made from the key of the blind index: nobody else can tell them."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, link: bytes) -> tuple[int, ...]:
        """Minor units of each amount."""
        digests = (hmac.digest(self._key, b"small amount\0" + link + bytes([n]), hashlib.sha256) for n in range(COUNT))
        return tuple(1 + int.from_bytes(digest[:8], "big") % MINOR_MAX for digest in digests)

    def are(self, link: bytes, given: tuple[int, ...]) -> bool:
        """Whether these are the amounts, in either order."""
        told, sent = (b"".join(amount.to_bytes(8, "big") for amount in sorted(them)) for them in (given, self.of(link)))
        return hmac.compare_digest(told, sent)

    def payouts(self, link: bytes, bank: bytes, currency: str) -> list[PayOut]:
        """What sends them."""
        return [
            PayOut(
                envelope=Envelope(f"{_OPENED_FOR}: {link.hex()} {number}"),
                account=operators_account(currency),
                provider=BANK,
                token=BankAccount(bank, link).token,
                amount_minor=amount,
                currency=currency,
            )
            for number, amount in enumerate(self.of(link))
        ]


def operators_account(currency: str) -> bytes:
    """The account that pays: nobody's, so operators alone see it."""
    return derive_account_id(_OPENED_FOR, currency)


def opening(currency: str) -> Command:
    """What opens it, the first time."""
    account = operators_account(currency)
    return Command(CommandKind.OPEN_ACCOUNT, account, NIL, OVERDRAFT_MINOR, currency, NO_REPLY, _OPENED_FOR)
