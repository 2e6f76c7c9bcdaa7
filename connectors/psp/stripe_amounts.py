"""Minor units of ISO 4217 ↔ the integers that Stripe calls an amount. They differ for some currencies.

Source: docs.stripe.com/currencies, "Minor units in API amounts", "Zero-decimal", "Three-decimal", "Special cases".
"""

from typing import Final

from payments.money import EXPONENTS

_ZERO = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_THREE = "BHD JOD KWD OMR TND"
_DECIMALS: Final = dict.fromkeys(_ZERO.split(), 0) | dict.fromkeys(_THREE.split(), 3) | {"ISK": 2}
"""By Stripe's rules, where they are not two or not ISO's. ISK has none by ISO; Stripe keeps two that have to be 00. UGX
is left out: the list of zero-decimal currencies and the special cases contradict each other, by a factor of 100."""

_WHOLE_IN_PAYOUTS: Final = frozenset({"HUF", "TWD"})


def to_stripe(minor: int, currency: str) -> int | None:
    """Stripe's amount, or None where it has none for this much of this currency. Never rounds."""
    decimals = _decimals(currency)
    if decimals is None:
        return None
    amount = _shifted(minor, decimals - EXPONENTS[currency])
    if amount is not None and decimals == 3 and amount % 10:  # the card networks' last digit is 0
        return None
    return amount


def to_stripe_payout(minor: int, currency: str) -> int | None:
    """As `to_stripe`, for money that leaves to a bank account."""
    if currency in _WHOLE_IN_PAYOUTS and minor % 100:
        return None
    return to_stripe(minor, currency)


def from_stripe(amount: int, currency: str) -> int | None:
    """Minor units of Stripe's amount; None for a currency that is not ours, or where they are no whole number."""
    decimals = _decimals(currency)
    return None if decimals is None else _shifted(amount, EXPONENTS[currency] - decimals)


def _shifted(number: int, decimals: int) -> int | None:
    if decimals >= 0:
        return number * int(10**decimals)
    shifted, lost = divmod(number, int(10**-decimals))
    return None if lost else shifted


def _decimals(currency: str) -> int | None:
    return _DECIMALS.get(currency, 2 if EXPONENTS.get(currency) == 2 else None)
