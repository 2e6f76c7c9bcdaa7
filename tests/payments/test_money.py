"""Money: every currency of the table, texts back and forth, and amounts that must be refused and never rounded."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.money import EXPONENTS, MAX_MINOR, AmountProblem, Money, format_minor, to_minor

currencies = st.sampled_from(sorted(EXPONENTS))


@given(st.integers(1, MAX_MINOR), currencies)
def test_text_and_back_is_the_same_amount(minor: int, currency: str) -> None:
    text = format_minor(minor, currency)
    assert to_minor(Decimal(text), currency) == minor
    assert len(text.partition(".")[2]) == EXPONENTS[currency]


@given(st.integers(-MAX_MINOR, MAX_MINOR), currencies)
def test_text_states_the_exact_value(minor: int, currency: str) -> None:
    assert Decimal(format_minor(minor, currency)) * 10 ** EXPONENTS[currency] == minor


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value="1E-30", max_value="1E30"), currencies)
def test_an_amount_is_exact_or_refused(amount: Decimal, currency: str) -> None:
    minor = to_minor(amount, currency)
    if isinstance(minor, AmountProblem):
        assert _problem_is_true(minor, amount, currency)
    else:
        assert Decimal(minor).scaleb(-EXPONENTS[currency]) == amount


def _problem_is_true(problem: AmountProblem, amount: Decimal, currency: str) -> bool:
    numerator, denominator = amount.as_integer_ratio()
    numerator *= int(10 ** EXPONENTS[currency])
    if problem is AmountProblem.TOO_MANY_DECIMALS:
        return numerator % denominator != 0
    return problem is AmountProblem.TOO_LARGE and numerator > MAX_MINOR * denominator


@pytest.mark.parametrize(
    ("text", "currency", "expected"),
    [
        ("10.50", "EUR", 1050),
        ("10.5", "EUR", 1050),
        ("10.500000", "EUR", 1050),
        ("1." + "0" * 60, "EUR", 100),  # more digits than the decimal context keeps
        ("1E+2", "EUR", 10_000),
        ("100", "JPY", 100),
        ("1.234", "KWD", 1234),
        ("0.0001", "CLF", 1),
        ("9999999999999.99", "EUR", MAX_MINOR),
        ("10000000000000.00", "EUR", AmountProblem.TOO_LARGE),
        ("1.005", "EUR", AmountProblem.TOO_MANY_DECIMALS),
        ("0.001", "EUR", AmountProblem.TOO_MANY_DECIMALS),
        ("1." + "0" * 60 + "1", "EUR", AmountProblem.TOO_MANY_DECIMALS),
        ("1.5", "JPY", AmountProblem.TOO_MANY_DECIMALS),
        ("0", "EUR", AmountProblem.NOT_POSITIVE),
        ("-0", "EUR", AmountProblem.NOT_POSITIVE),
        ("-1.00", "EUR", AmountProblem.NOT_POSITIVE),
        ("NaN", "EUR", AmountProblem.NOT_A_NUMBER),
        ("sNaN", "EUR", AmountProblem.NOT_A_NUMBER),
        ("-Infinity", "EUR", AmountProblem.NOT_A_NUMBER),
        ("1", "XAU", AmountProblem.CURRENCY_UNKNOWN),
        ("1", "eur", AmountProblem.CURRENCY_UNKNOWN),
        ("1", "", AmountProblem.CURRENCY_UNKNOWN),
    ],
)
def test_amounts(text: str, currency: str, expected: int | AmountProblem) -> None:
    assert to_minor(Decimal(text), currency) == expected


@pytest.mark.parametrize("sign", ["+", "-"])
def test_a_huge_exponent_is_refused_before_it_is_written_out(sign: str) -> None:
    # A billion digits would take minutes and gigabytes: the test's time limit is the assertion.
    assert to_minor(Decimal(f"1E{sign}999999999"), "EUR") in (
        AmountProblem.TOO_LARGE,
        AmountProblem.TOO_MANY_DECIMALS,
    )


def test_money_reads_as_people_write_it() -> None:
    assert str(Money(1050, "EUR")) == "10.50 EUR"
    assert str(Money(-5, "KWD")) == "-0.005 KWD"
    assert str(Money(7, "JPY")) == "7 JPY"


def test_the_exponents_of_the_standard() -> None:
    assert {EXPONENTS[code] for code in ("EUR", "USD", "GBP", "MGA")} == {2}
    assert (EXPONENTS["JPY"], EXPONENTS["KWD"], EXPONENTS["CLF"], EXPONENTS["UYW"]) == (0, 3, 4, 4)
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in EXPONENTS)


def test_a_clearing_account_holds_thousands_of_the_largest_amounts() -> None:
    assert 9_000 * MAX_MINOR < 2**63 - 1
