"""Providers as data: where each keeps our money until it is settled, one account of the operator per currency.

What is charged debits the clearing account, what is refunded or paid out credits it; what stands there is matched with
the provider's settlement files.
"""

from typing import Final

from payments.identifiers import system_account
from payments.money import EXPONENTS
from payments.postings import SystemAccount
from payments.rejections import Reason

BANK: Final = "bank"
"""The connector of every bank that is registered; the token of a request says which."""

CLEARING: dict[str, SystemAccount] = {
    "stripe": SystemAccount.STRIPE_CLEARING,
    BANK: SystemAccount.BANK_CLEARING,
}
"""By the name of the connector."""

CARD_PROVIDERS: Final = frozenset(CLEARING) - {BANK}
"""Those whose tokens a caller may send. What names a bank account is made by us, once it is verified."""


def clearing_of(provider: str, currency: str) -> bytes | Reason:
    """The clearing account of a provider in a currency, or why there is none."""
    code = CLEARING.get(provider)
    if code is None:
        return Reason.PROVIDER_UNKNOWN
    return system_account(code, currency) if currency in EXPONENTS else Reason.CURRENCY_UNKNOWN
