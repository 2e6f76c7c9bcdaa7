"""Two-currency transfers at a quoted rate: a quote and an amount become what is sold and what is bought, and four legs
through the FX positions, so that each currency balances by itself.
"""

import math
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from payments.identifiers import system_account
from payments.money import EXPONENTS, MAX_MINOR, Money
from payments.postings import Posting, SystemAccount
from payments.terms.fees import BASIS_POINTS, Charge, ChargeBearer, FeeRefusal, FeeSchedule, charge
from payments.terms.rounding import Rounding, rounded_quotient

RATE_DECIMALS_MAX = 10
RATE_TERM_MAX = 10**18
"""Bound of a rate's numerator and denominator: fits a signed 64-bit integer, and rates below 10⁸ with ten decimals."""


class Rate(NamedTuple):
    """An exact ratio of major units: units of the one currency for each unit of the other."""

    numerator: int
    denominator: int

    @property
    def inverse(self) -> "Rate":
        """The exact rate the other way round."""
        return Rate(self.denominator, self.numerator)


class FixedSide(StrEnum):
    """Which amount the customer names; the other one is computed."""

    SELL = "sell"
    BUY = "buy"


class Quote(NamedTuple):
    """An offer to convert until it expires. The payer sells, the payee receives what is bought."""

    quote_id: bytes
    sell_currency: str
    buy_currency: str
    rate: Rate
    """Mid rate: units of the buy currency for one unit of the sell currency."""
    spread_basis_points: int
    """What the rate is worse for the customer; it stays in the positions and becomes gain when they are closed."""
    expires_at_us: int
    """The first microsecond at which it is no longer good."""
    fixed_side: FixedSide = FixedSide.SELL
    rounding: Rounding = Rounding.HALF_EVEN


class RateProblem(StrEnum):
    """Why a decimal is not a rate."""

    NOT_A_NUMBER = "rate_invalid"
    NOT_POSITIVE = "rate_not_positive"
    TOO_MANY_DECIMALS = "rate_too_many_decimals"
    TOO_LARGE = "rate_too_large"


class QuoteProblem(StrEnum):
    """Why a quote can't be given out."""

    CURRENCY_UNKNOWN = "currency_unknown"
    SAME_CURRENCY = "same_currency"
    RATE_OUT_OF_RANGE = "rate_out_of_range"
    SPREAD_OUT_OF_RANGE = "spread_out_of_range"
    """The spread must be 0 to 9,999 basis points."""


class QuoteRefusal(StrEnum):
    """Why a valid quote does not convert this amount now."""

    EXPIRED = "quote_expired"
    CURRENCY_MISMATCH = "currency_mismatch"
    AMOUNT_INVALID = "amount_invalid"
    AMOUNT_TOO_SMALL = "amount_too_small"
    """The other side would round to nothing."""
    AMOUNT_TOO_LARGE = "amount_too_large"
    """The other side would exceed `payments.money.MAX_MINOR`."""


class Conversion(NamedTuple):
    """What a quote makes of an amount."""

    quote_id: bytes
    sell: Money
    buy: Money


def rate_of(value: Decimal) -> Rate | RateProblem:
    """The exact rate of a decimal with at most ten decimals, in lowest terms, or why there is none."""
    if not value.is_finite():
        return RateProblem.NOT_A_NUMBER
    if value <= 0:
        return RateProblem.NOT_POSITIVE
    if value.adjusted() >= 8:  # before scaling: 1E+999999999 must not become a billion digits
        return RateProblem.TOO_LARGE
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    if exponent < -RATE_DECIMALS_MAX and any(digits[exponent + RATE_DECIMALS_MAX :]):
        return RateProblem.TOO_MANY_DECIMALS
    scaled, scale = int(value.scaleb(RATE_DECIMALS_MAX)), int(10**RATE_DECIMALS_MAX)
    common = math.gcd(scaled, scale)
    return Rate(scaled // common, scale // common)


def quote_problem(quote: Quote) -> QuoteProblem | None:
    """The first problem of the quote, or None: then `convert` may be called with it."""
    if quote.sell_currency not in EXPONENTS or quote.buy_currency not in EXPONENTS:
        return QuoteProblem.CURRENCY_UNKNOWN
    if quote.sell_currency == quote.buy_currency:
        return QuoteProblem.SAME_CURRENCY
    if not all(0 < term <= RATE_TERM_MAX for term in quote.rate):
        return QuoteProblem.RATE_OUT_OF_RANGE
    return None if 0 <= quote.spread_basis_points < BASIS_POINTS else QuoteProblem.SPREAD_OUT_OF_RANGE


def convert(quote: Quote, amount: Money, other_currency: str, now_us: int) -> Conversion | QuoteRefusal:
    """Both sides of a transfer under a valid quote: `amount` is its fixed side, `other_currency` that of the other."""
    if now_us >= quote.expires_at_us:
        return QuoteRefusal.EXPIRED
    sells = quote.fixed_side is FixedSide.SELL
    pair = (amount.currency, other_currency) if sells else (other_currency, amount.currency)
    if pair != (quote.sell_currency, quote.buy_currency):
        return QuoteRefusal.CURRENCY_MISMATCH
    if not 0 < amount.minor <= MAX_MINOR:
        return QuoteRefusal.AMOUNT_INVALID
    customer_rate = _after_spread(quote)
    rate = customer_rate if sells else customer_rate.inverse
    other = Money(exchanged(amount, other_currency, rate, quote.rounding), other_currency)
    if other.minor == 0:
        return QuoteRefusal.AMOUNT_TOO_SMALL
    if other.minor > MAX_MINOR:
        return QuoteRefusal.AMOUNT_TOO_LARGE
    return Conversion(quote.quote_id, *((amount, other) if sells else (other, amount)))


def exchanged(amount: Money, currency: str, rate: Rate, rounding: Rounding) -> int:
    """Minor units of `currency` for a signed amount, at so many units of `currency` for one of the amount's."""
    numerator = amount.minor * rate.numerator * 10 ** EXPONENTS[currency]
    return rounded_quotient(numerator, rate.denominator * 10 ** EXPONENTS[amount.currency], rounding)


def _after_spread(quote: Quote) -> Rate:
    kept = BASIS_POINTS - quote.spread_basis_points
    return Rate(quote.rate.numerator * kept, quote.rate.denominator * BASIS_POINTS)


def conversion_postings(conversion: Conversion, payer: bytes, payee: bytes) -> tuple[Posting, ...]:
    """Dr payer, Cr FX position in the sell currency; Dr FX position, Cr payee in the buy currency."""
    sell, buy = conversion.sell, conversion.buy
    return (
        Posting(payer, -sell.minor, sell.currency),
        Posting(system_account(SystemAccount.FX_POSITION, sell.currency), sell.minor, sell.currency),
        Posting(system_account(SystemAccount.FX_POSITION, buy.currency), -buy.minor, buy.currency),
        Posting(payee, buy.minor, buy.currency),
    )


def charge_conversion(schedule: FeeSchedule, conversion: Conversion) -> Charge | FeeRefusal:
    """What a two-currency transfer costs under a valid schedule, in the currency of who bears the fee: on top of what
    is sold, or out of what is bought. The exchange itself is the quote's, whatever the fee.
    """
    return charge(schedule, conversion.sell if schedule.bearer is ChargeBearer.PAYER else conversion.buy)


def charged_conversion_postings(
    conversion: Conversion, charged: Charge, payer: bytes, payee: bytes
) -> tuple[Posting, ...]:
    """As `conversion_postings`, with the fee of `charge_conversion` in the leg of who bears it, and Cr fees last."""
    debit, sold, bought, credit = conversion_postings(conversion, payer, payee)
    if charged.fee_minor == 0:
        return debit, sold, bought, credit
    if charged.currency == debit.currency:
        debit = debit._replace(amount_minor=-charged.debited_minor)
    else:
        credit = credit._replace(amount_minor=charged.credited_minor)
    fee = Posting(system_account(SystemAccount.FEES, charged.currency), charged.fee_minor, charged.currency)
    return debit, sold, bought, credit, fee
