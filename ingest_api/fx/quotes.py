"""Quotes: given out, looked at, and taken by one transfer each.

Reads and writes fx_quotes. Guarantees: however many calls name a quote, one of them (and its repeats) converts by it.
"""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.fx.terms import TermsFile
from ingest_api.reads.database import Database
from ingest_api.reads.migrated import MigratedDatabase
from payments.identifiers import uuid7
from payments.money import Money
from payments.terms.fx import Conversion, FixedSide, Quote, QuoteRefusal, Rate, convert
from payments.terms.rounding import Rounding
from runtime.settings import Settings

MIGRATIONS: Final = "ingest_api.fx"
_CONNECTIONS: Final = 2
"""Every call takes one statement of a millisecond."""

_GIVE_OUT: Final = """
INSERT INTO fx_quotes (quote_id, asked_by, sell_currency, sell_minor, buy_currency, buy_minor, fixed_side,
    rate_numerator, rate_denominator, spread_basis_points, rounding, expires_at)
VALUES (%(id)s, %(by)s, %(sell_currency)s, %(sell_minor)s, %(buy_currency)s, %(buy_minor)s, %(fixed_side)s,
    %(numerator)s, %(denominator)s, %(spread)s, %(rounding)s, %(expires_at)s) RETURNING *"""
_FIND: Final = "SELECT * FROM fx_quotes WHERE quote_id = %s"
_TAKE: Final = """
UPDATE fx_quotes SET used_by = coalesce(used_by, %(use)s) WHERE quote_id = %(id)s RETURNING used_by = %(use)s AS mine"""


class Given(NamedTuple):
    """A quote that was given out, for what it converts."""

    quote: Quote
    conversion: Conversion
    asked_by: str
    quoted_at: datetime
    is_used: bool

    @property
    def fixed(self) -> Money:
        """The side that was named; a transfer names it again."""
        return self.conversion.sell if self.quote.fixed_side is FixedSide.SELL else self.conversion.buy


class Asked(NamedTuple):
    """What is to be quoted: an amount of the fixed side."""

    sell_currency: str
    buy_currency: str
    amount: Money
    fixed_side: FixedSide


class Quotes:
    """Of one API process. Every method that waits raises DatabaseUnavailable."""

    def __init__(self, database: Database, terms: TermsFile) -> None:
        self._database = database
        self.terms = terms

    @classmethod
    def of(cls, settings: Settings, writing: Database) -> "Quotes":
        return cls(
            MigratedDatabase(writing, settings.database_url, MIGRATIONS, _CONNECTIONS), TermsFile(settings.terms_file)
        )

    async def open(self) -> None:
        """Does not wait for Postgres."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def give_out(self, asked: Asked, by: str) -> Given | QuoteRefusal | None:
        """A quote by the rate of now; None where the pair has none."""
        terms = self.terms.current()
        offer = terms.offers.get((asked.sell_currency, asked.buy_currency))
        if offer is None:
            return None
        now = datetime.now(UTC)
        expires_at = now + timedelta(seconds=terms.quote_s)
        quote_id = uuid7(time.time_ns() // 1_000_000, os.urandom(10))
        quote = Quote(
            quote_id, *asked[:2], *offer, int(expires_at.timestamp()) * 1_000_000, asked.fixed_side, terms.rounding
        )
        sells = asked.fixed_side is FixedSide.SELL
        other = asked.buy_currency if sells else asked.sell_currency
        conversion = convert(quote, asked.amount, other, 0)
        if isinstance(conversion, QuoteRefusal):
            return conversion
        row = await self._database.row(_GIVE_OUT, _row(quote, conversion, by))
        assert row is not None, "an INSERT that returns its row"
        return _given(row)

    async def find(self, quote_id: bytes) -> Given | None:
        """The quote, or None where there is none."""
        row = await self._database.row(_FIND, (UUID(bytes=quote_id),))
        return _given(row) if row is not None else None

    async def take(self, quote_id: bytes, use: bytes) -> bool:
        """False where another call has taken it before; `use` names a call and its repeats."""
        row = await self._database.row(_TAKE, {"id": UUID(bytes=quote_id), "use": use})
        return row is not None and bool(row["mine"])


def _row(quote: Quote, conversion: Conversion, by: str) -> dict[str, Any]:
    return {
        "id": UUID(bytes=quote.quote_id),
        "by": by,
        "sell_currency": conversion.sell.currency,
        "sell_minor": conversion.sell.minor,
        "buy_currency": conversion.buy.currency,
        "buy_minor": conversion.buy.minor,
        "fixed_side": quote.fixed_side.value,
        "numerator": quote.rate.numerator,
        "denominator": quote.rate.denominator,
        "spread": quote.spread_basis_points,
        "rounding": quote.rounding.value,
        "expires_at": datetime.fromtimestamp(quote.expires_at_us // 1_000_000, UTC),
    }


def _given(row: Mapping[str, Any]) -> Given:
    quote = Quote(
        row["quote_id"].bytes,
        row["sell_currency"],
        row["buy_currency"],
        Rate(row["rate_numerator"], row["rate_denominator"]),
        row["spread_basis_points"],
        int(row["expires_at"].timestamp()) * 1_000_000,
        FixedSide(row["fixed_side"]),
        Rounding(row["rounding"]),
    )
    sell, buy = Money(row["sell_minor"], quote.sell_currency), Money(row["buy_minor"], quote.buy_currency)
    conversion = Conversion(quote.quote_id, sell, buy)
    return Given(quote, conversion, row["asked_by"], row["quoted_at"], row["used_by"] is not None)
