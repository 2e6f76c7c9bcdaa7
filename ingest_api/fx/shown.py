"""What may be sent about quotes, and what they look like."""

from decimal import Context, Decimal
from typing import Final

import msgspec

from ingest_api.fx.quotes import Given
from ingest_api.http.bodies import AmountText, CurrencyText
from ingest_api.http.resources import rfc3339, rfc3339_of_us
from payments.identifiers import QUOTE, format_id
from payments.money import format_minor
from payments.terms.fx import FixedSide

_RATE: Final = Context(prec=15)
"""Shown to fifteen digits; what is computed is the exact ratio."""


class QuoteBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Ask what an amount costs in another currency: so much to `sell`, or so much to `buy`."""

    sell_currency: CurrencyText
    buy_currency: CurrencyText
    amount: AmountText
    fixed_side: FixedSide = FixedSide.SELL


class FxQuote(msgspec.Struct):
    """An offer to convert this amount, once, until it expires. `rate` is the mid rate: units of the buy currency for
    one of the sell currency; the spread and one rounding by the rule are in what is bought, or sold.
    """

    id: str
    sell_amount: str
    sell_amount_minor: int
    sell_currency: str
    buy_amount: str
    buy_amount_minor: int
    buy_currency: str
    fixed_side: FixedSide
    rate: str
    spread_basis_points: int
    rounding: str
    quoted_at: str
    expires_at: str
    used: bool


RESOURCES: tuple[type, ...] = (QuoteBody, FxQuote)


def shown_quote(given: Given) -> FxQuote:
    """A quote as JSON shows it."""
    quote, (_, sell, buy) = given.quote, given.conversion
    return FxQuote(
        id=format_id(QUOTE, quote.quote_id),
        sell_amount=format_minor(sell.minor, sell.currency),
        sell_amount_minor=sell.minor,
        sell_currency=sell.currency,
        buy_amount=format_minor(buy.minor, buy.currency),
        buy_amount_minor=buy.minor,
        buy_currency=buy.currency,
        fixed_side=quote.fixed_side,
        rate=f"{_RATE.divide(Decimal(quote.rate.numerator), Decimal(quote.rate.denominator)):f}",
        spread_basis_points=quote.spread_basis_points,
        rounding=quote.rounding,
        quoted_at=rfc3339(given.quoted_at),
        expires_at=rfc3339_of_us(quote.expires_at_us),
        used=given.is_used,
    )
