"""Money is an integer of minor units with an ISO 4217 currency; the only place that knows a currency's exponent.

Source: ISO 4217 list one (active codes), column "minor units". Codes without minor units (XAU, XDR, XXX …) are no
payment currencies.
"""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

MAX_MINOR = 10**15 - 1
"""Largest amount and largest balance, in minor units (EUR 9,999,999,999,999.99).

A clearing account sums many of them: 9,000 of the largest fit a signed 64-bit integer, more than one batch of the sink
holds, so that no caller can make a sum overflow there.
"""

_TWO_DECIMALS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW"
    " CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF"
    " IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK"
    " MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP"
    " SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG"
    " YER ZAR ZMW ZWG"
)
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"

EXPONENTS: dict[str, int] = {
    code: exponent
    for codes, exponent in ((_NO_DECIMALS, 0), (_TWO_DECIMALS, 2), (_THREE_DECIMALS, 3), (_FOUR_DECIMALS, 4))
    for code in codes.split()
}


class AmountProblem(StrEnum):
    """Why a text is not an amount of money. The value is the public error code."""

    CURRENCY_UNKNOWN = "currency_unknown"
    NOT_A_NUMBER = "amount_invalid"
    NOT_POSITIVE = "amount_not_positive"
    TOO_MANY_DECIMALS = "amount_too_many_decimals"
    TOO_LARGE = "amount_too_large"


class Money(NamedTuple):
    """An amount in minor units of a currency (1050, "EUR" = 10.50 EUR)."""

    minor: int
    currency: str

    def __str__(self) -> str:
        return f"{format_minor(self.minor, self.currency)} {self.currency}"


def to_minor(amount: Decimal, currency: str) -> int | AmountProblem:
    """Minor units of a positive decimal amount, or the reason why there are none. Never rounds."""
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        return AmountProblem.CURRENCY_UNKNOWN
    if not amount.is_finite():
        return AmountProblem.NOT_A_NUMBER
    if amount <= 0:
        return AmountProblem.NOT_POSITIVE
    if amount.adjusted() + exponent > 15:  # before scaling: 1E+999999999 must not become a billion digits
        return AmountProblem.TOO_LARGE
    _, digits, decimals = amount.as_tuple()
    assert isinstance(decimals, int)
    if decimals < -exponent and any(digits[decimals + exponent :]):
        return AmountProblem.TOO_MANY_DECIMALS
    minor = int(amount.scaleb(exponent))
    return minor if minor <= MAX_MINOR else AmountProblem.TOO_LARGE


def format_minor(minor: int, currency: str) -> str:
    """Decimal text of minor units, with exactly the decimals of the currency: (1050, "EUR") → "10.50"."""
    exponent = EXPONENTS[currency]
    if exponent == 0:
        return str(minor)
    sign = "-" if minor < 0 else ""
    whole, fraction = divmod(abs(minor), 10**exponent)
    return f"{sign}{whole}.{fraction:0{exponent}d}"
