"""Conversions against exact fractions, over currencies with zero to four decimals and amounts up to the largest."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from payments.money import EXPONENTS, MAX_MINOR, Money
from payments.postings import SYSTEM_CURRENCIES, Posting
from payments.terms.fx import (
    RATE_TERM_MAX,
    Conversion,
    FixedSide,
    Quote,
    QuoteProblem,
    QuoteRefusal,
    Rate,
    RateProblem,
    conversion_postings,
    convert,
    quote_problem,
    rate_of,
)
from payments.terms.rounding import Rounding

NOW_US = 1_790_000_000_000_000
PAYER, PAYEE = b"payer".ljust(16), b"payee".ljust(16)

amounts = st.one_of(st.integers(1, 300), st.integers(1, MAX_MINOR))
terms = st.one_of(st.integers(1, 1000), st.integers(1, RATE_TERM_MAX))
currencies = st.sampled_from(["EUR", "USD", "JPY", "KWD", "CLF", "KRW"])


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    sell, buy = draw(st.lists(currencies, min_size=2, max_size=2, unique=True))
    return Quote(
        quote_id=draw(st.binary(min_size=16, max_size=16)),
        sell_currency=sell,
        buy_currency=buy,
        rate=Rate(draw(terms), draw(terms)),
        spread_basis_points=draw(st.integers(0, 500) | st.integers(0, 9_999)),
        expires_at_us=NOW_US + 1,
        fixed_side=draw(st.sampled_from(FixedSide)),
        rounding=draw(st.sampled_from(Rounding)),
    )


def convert_fixed_side(quote: Quote, amount_minor: int) -> Conversion | QuoteRefusal:
    sells = quote.fixed_side is FixedSide.SELL
    fixed, other = (quote.sell_currency, quote.buy_currency)[:: 1 if sells else -1]
    return convert(quote, Money(amount_minor, fixed), other, NOW_US)


def _bought_per_sold(quote: Quote) -> Fraction:
    """Minor units bought for one minor unit sold, after the spread."""
    mid = Fraction(quote.rate.numerator, quote.rate.denominator)
    customer = mid * Fraction(10_000 - quote.spread_basis_points, 10_000)
    return customer * Fraction(10) ** (EXPONENTS[quote.buy_currency] - EXPONENTS[quote.sell_currency])


@given(quotes(), amounts)
@example(Quote(bytes(16), "KWD", "JPY", Rate(RATE_TERM_MAX, 1), 0, NOW_US + 1), MAX_MINOR)
@example(Quote(bytes(16), "JPY", "CLF", Rate(1, RATE_TERM_MAX), 0, NOW_US + 1), MAX_MINOR)
def test_the_other_side_is_the_exact_value_rounded(quote: Quote, amount_minor: int) -> None:
    assert quote_problem(quote) is None
    sells = quote.fixed_side is FixedSide.SELL
    exact = amount_minor * _bought_per_sold(quote) if sells else amount_minor / _bought_per_sold(quote)
    converted = convert_fixed_side(quote, amount_minor)
    if converted is QuoteRefusal.AMOUNT_TOO_SMALL:
        assert exact < 1
    elif converted is QuoteRefusal.AMOUNT_TOO_LARGE:
        assert exact > MAX_MINOR
    else:
        assert isinstance(converted, Conversion)
        fixed, other = (converted.sell, converted.buy) if sells else (converted.buy, converted.sell)
        assert fixed.minor == amount_minor
        assert 0 < other.minor <= MAX_MINOR
        assert _is_rounded(other.minor, exact, quote.rounding)


def _is_rounded(minor: int, exact: Fraction, rule: Rounding) -> bool:
    if rule is Rounding.DOWN:
        return minor == int(exact)
    if exact % 1 == Fraction(1, 2):
        return minor == (exact.__ceil__() if rule is Rounding.HALF_UP else round(exact))
    return abs(minor - exact) < Fraction(1, 2)


@given(quotes(), amounts)
def test_each_currency_balances(quote: Quote, amount_minor: int) -> None:
    converted = convert_fixed_side(quote, amount_minor)
    assume(isinstance(converted, Conversion))
    assert isinstance(converted, Conversion)
    legs = conversion_postings(converted, PAYER, PAYEE)
    for currency in (quote.sell_currency, quote.buy_currency):
        assert sum(leg.amount_minor for leg in legs if leg.currency == currency) == 0
    assert legs[0] == Posting(PAYER, -converted.sell.minor, quote.sell_currency)
    assert legs[-1] == Posting(PAYEE, converted.buy.minor, quote.buy_currency)
    assert all(SYSTEM_CURRENCIES[leg.account] == leg.currency for leg in legs[1:-1])


@given(quotes(), amounts, amounts)
def test_more_money_never_converts_to_less(quote: Quote, one: int, other: int) -> None:
    less, more = (convert_fixed_side(quote, minor) for minor in sorted((one, other)))
    assume(isinstance(less, Conversion) and isinstance(more, Conversion))
    assert isinstance(less, Conversion)
    assert isinstance(more, Conversion)
    assert less.sell.minor <= more.sell.minor
    assert less.buy.minor <= more.buy.minor


@given(quotes(), amounts, st.integers(0, 9_999))
def test_a_wider_spread_is_never_better_for_the_customer(quote: Quote, amount_minor: int, wider: int) -> None:
    narrow, wide = sorted((quote.spread_basis_points, wider))
    good, bad = (
        convert_fixed_side(quote._replace(spread_basis_points=spread), amount_minor) for spread in (narrow, wide)
    )
    assume(isinstance(good, Conversion) and isinstance(bad, Conversion))
    assert isinstance(good, Conversion)
    assert isinstance(bad, Conversion)
    assert good.buy.minor >= bad.buy.minor
    assert good.sell.minor <= bad.sell.minor


@given(quotes(), amounts)
def test_there_and_back_is_within_one_minor_unit(quote: Quote, amount_minor: int) -> None:
    """Where a unit bought is worth no more than a unit sold; else within half of what it is worth, and a half."""
    there_quote = quote._replace(spread_basis_points=0, fixed_side=FixedSide.SELL, rounding=Rounding.HALF_EVEN)
    there = convert_fixed_side(there_quote, amount_minor)
    assume(isinstance(there, Conversion))
    assert isinstance(there, Conversion)
    back_quote = there_quote._replace(
        sell_currency=quote.buy_currency, buy_currency=quote.sell_currency, rate=quote.rate.inverse
    )
    back = convert_fixed_side(back_quote, there.buy.minor)
    worth = 1 / _bought_per_sold(there_quote)
    lost = Fraction(1, 2) + worth / 2
    if isinstance(back, Conversion):
        assert abs(back.buy.minor - amount_minor) <= (1 if worth <= 1 else lost)
    else:
        assert amount_minor + lost > MAX_MINOR


@given(quotes(), amounts)
def test_naming_the_bought_amount_costs_what_selling_for_it_costs(quote: Quote, amount_minor: int) -> None:
    """Both sides of one quote agree: what selling buys can be bought for the same, give or take the rounding."""
    by_sell = quote._replace(fixed_side=FixedSide.SELL, rounding=Rounding.HALF_EVEN)
    sold = convert_fixed_side(by_sell, amount_minor)
    assume(isinstance(sold, Conversion))
    assert isinstance(sold, Conversion)
    bought = convert_fixed_side(by_sell._replace(fixed_side=FixedSide.BUY), sold.buy.minor)
    lost = Fraction(1, 2) + 1 / _bought_per_sold(by_sell) / 2
    if isinstance(bought, Conversion):
        assert abs(bought.sell.minor - amount_minor) <= lost
    else:
        assert amount_minor + lost > MAX_MINOR


QUOTE = Quote(b"quote".ljust(16), "EUR", "JPY", Rate(160, 1), 0, NOW_US + 1)


@pytest.mark.parametrize(
    ("quote", "amount", "other_currency", "refusal"),
    [
        (QUOTE._replace(expires_at_us=NOW_US), Money(100, "EUR"), "JPY", QuoteRefusal.EXPIRED),
        (QUOTE._replace(expires_at_us=NOW_US - 1), Money(100, "EUR"), "JPY", QuoteRefusal.EXPIRED),
        (QUOTE, Money(100, "USD"), "JPY", QuoteRefusal.CURRENCY_MISMATCH),
        (QUOTE, Money(100, "EUR"), "USD", QuoteRefusal.CURRENCY_MISMATCH),
        (QUOTE, Money(100, "JPY"), "EUR", QuoteRefusal.CURRENCY_MISMATCH),
        (QUOTE._replace(fixed_side=FixedSide.BUY), Money(100, "EUR"), "JPY", QuoteRefusal.CURRENCY_MISMATCH),
        (QUOTE, Money(0, "EUR"), "JPY", QuoteRefusal.AMOUNT_INVALID),
        (QUOTE, Money(-1, "EUR"), "JPY", QuoteRefusal.AMOUNT_INVALID),
        (QUOTE, Money(MAX_MINOR + 1, "EUR"), "JPY", QuoteRefusal.AMOUNT_INVALID),
        (QUOTE._replace(rate=Rate(49, 1)), Money(1, "EUR"), "JPY", QuoteRefusal.AMOUNT_TOO_SMALL),
        (QUOTE, Money(MAX_MINOR, "EUR"), "JPY", QuoteRefusal.AMOUNT_TOO_LARGE),
    ],
)
def test_refusals(quote: Quote, amount: Money, other_currency: str, refusal: QuoteRefusal) -> None:
    assert convert(quote, amount, other_currency, NOW_US) is refusal


def test_the_largest_amount_can_be_both_sides() -> None:
    at_par = QUOTE._replace(buy_currency="USD", rate=Rate(1, 1))
    expected = Conversion(QUOTE.quote_id, Money(MAX_MINOR, "EUR"), Money(MAX_MINOR, "USD"))
    assert convert(at_par, Money(MAX_MINOR, "EUR"), "USD", NOW_US) == expected


def test_a_quote_is_good_to_its_last_microsecond() -> None:
    expected = Conversion(QUOTE.quote_id, Money(100, "EUR"), Money(160, "JPY"))
    assert convert(QUOTE, Money(100, "EUR"), "JPY", NOW_US) == expected


@pytest.mark.parametrize(
    ("quote", "problem"),
    [
        (QUOTE, None),
        (QUOTE._replace(sell_currency="XAU"), QuoteProblem.CURRENCY_UNKNOWN),
        (QUOTE._replace(buy_currency="jpy"), QuoteProblem.CURRENCY_UNKNOWN),
        (QUOTE._replace(buy_currency="EUR"), QuoteProblem.SAME_CURRENCY),
        (QUOTE._replace(rate=Rate(0, 1)), QuoteProblem.RATE_OUT_OF_RANGE),
        (QUOTE._replace(rate=Rate(1, 0)), QuoteProblem.RATE_OUT_OF_RANGE),
        (QUOTE._replace(rate=Rate(-1, -1)), QuoteProblem.RATE_OUT_OF_RANGE),
        (QUOTE._replace(rate=Rate(RATE_TERM_MAX + 1, 1)), QuoteProblem.RATE_OUT_OF_RANGE),
        (QUOTE._replace(rate=Rate(RATE_TERM_MAX, RATE_TERM_MAX)), None),
        (QUOTE._replace(spread_basis_points=-1), QuoteProblem.SPREAD_OUT_OF_RANGE),
        (QUOTE._replace(spread_basis_points=10_000), QuoteProblem.SPREAD_OUT_OF_RANGE),
    ],
)
def test_problems_of_a_quote(quote: Quote, problem: QuoteProblem | None) -> None:
    assert quote_problem(quote) is problem


@given(st.integers(1, RATE_TERM_MAX - 1), st.integers(0, 10))
def test_a_decimal_rate_is_exact(scaled: int, decimals: int) -> None:
    value = Decimal(scaled).scaleb(-decimals)
    rate = rate_of(value)
    if isinstance(rate, RateProblem):
        assert rate is RateProblem.TOO_LARGE
        assert value >= 10**8
    else:
        assert Fraction(*rate) == Fraction(value)
        assert quote_problem(QUOTE._replace(rate=rate)) is None
        assert quote_problem(QUOTE._replace(rate=rate.inverse)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0837", Rate(10_837, 10_000)),
        ("0.0000000001", Rate(1, 10**10)),
        ("99999999.9999999999", Rate(10**18 - 1, 10**10)),
        ("1." + "0" * 60, Rate(1, 1)),
        ("100000000", RateProblem.TOO_LARGE),
        ("1E+999999999", RateProblem.TOO_LARGE),
        ("1E-999999999", RateProblem.TOO_MANY_DECIMALS),
        ("0.00000000001", RateProblem.TOO_MANY_DECIMALS),
        ("1." + "0" * 60 + "1", RateProblem.TOO_MANY_DECIMALS),
        ("0", RateProblem.NOT_POSITIVE),
        ("-1", RateProblem.NOT_POSITIVE),
        ("NaN", RateProblem.NOT_A_NUMBER),
        ("sNaN", RateProblem.NOT_A_NUMBER),
        ("Infinity", RateProblem.NOT_A_NUMBER),
    ],
)
def test_rates(text: str, expected: Rate | RateProblem) -> None:
    assert rate_of(Decimal(text)) == expected
