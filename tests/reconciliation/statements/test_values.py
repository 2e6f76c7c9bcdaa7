"""Amounts and dates as people and banks write them: exact, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.money import EXPONENTS, format_minor
from reconciliation.statements.refusals import Refused
from reconciliation.statements.values import (
    FRACTION_PLACES,
    WITHDRAWN,
    day,
    day_of,
    exponent_of,
    implied_minor,
    minor,
    nearest_minor,
    short_day,
    written_minor,
)


@pytest.mark.parametrize(
    ("text", "currency", "expected"),
    [
        ("12.50", "EUR", 1250),
        (".2", "EUR", 20),
        ("7.", "EUR", 700),
        ("-0.01", "EUR", -1),
        ("8.85000", "EUR", 885),
        ("100", "JPY", 100),
        ("1.234", "KWD", 1234),
        ("12", "HRK", 1200),
        ("100", "ITL", 100),
    ],
)
def test_plain_amounts(text: str, currency: str, expected: int) -> None:
    assert minor(text, currency) == expected


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("12.345", "EUR"),
        ("1.5", "JPY"),
        ("12..34", "EUR"),
        ("1,5", "EUR"),
        ("", "EUR"),
        (".", "EUR"),
        ("1e3", "EUR"),
        ("NaN", "EUR"),
        ("١٢", "EUR"),
        ("1", "ABC"),
        ("1", ""),
        ("1" + "0" * 17, "EUR"),
    ],
)
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    with pytest.raises(Refused):
        minor(text, currency)


@given(st.integers(-(10**15), 10**15), st.sampled_from(sorted(EXPONENTS)))
def test_an_amount_that_is_written_out_is_read_back(amount: int, currency: str) -> None:
    assert minor(format_minor(amount, currency), currency) == amount


@pytest.mark.parametrize(
    ("text", "decimal", "expected"),
    [
        ("1,234.50", "", 123450),
        ("1.234,50", "", 123450),
        ("1 234,50", "", 123450),
        ("1\u00a0234,50", "", 123450),
        ("1'234.50", "", 123450),
        ("12,34,567.00", "", 123456700),
        ("(12.00)", "", -1200),
        ("12.00-", "", -1200),
        ("-$5", "", -500),
        ("$-5.10", "", -510),
        ("5.00 DR", "", -500),
        ("EUR 5,10", "", 510),
        ("1,234", ".", 123400),
        ("1.234", ",", 123400),
        ("1,234,567", "", 123456700),
        ("0", "", 0),
    ],
)
def test_written_amounts(text: str, decimal: str, expected: int) -> None:
    assert written_minor(text, "EUR", decimal) == expected


@pytest.mark.parametrize(
    "text", ["1,234", "1,23,4.5.6", "--5", "(5", "-5-", "(-5)", "five", "1.2.3,4,5", "", "1,2345.00"]
)
def test_what_is_unclear_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        written_minor(text, "EUR")


def test_hundredths_of_a_currency_without_decimals() -> None:
    assert written_minor("10000", "JPY", ".", 2) == 100
    assert written_minor("10000", "USD", ".", 2) == 10000
    assert written_minor("10000", "KWD", ".", 2) == 100_000
    with pytest.raises(Refused):
        written_minor("10050", "JPY", ".", 2)


def test_minor_units_of_the_source() -> None:
    assert written_minor("10050", "JPY", ".", -1) == 10050
    assert implied_minor("+0010050") == 10050
    with pytest.raises(Refused):
        implied_minor("00CCC")


def test_dates() -> None:
    assert day("2026-11-22T23:59:59+14:00") == "2026-11-22"
    assert day_of("22.11.2026", ("%d.%m.%Y",)) == "2026-11-22"
    assert (short_day("261122"), short_day("991231"), short_day("20261122")) == (
        "2026-11-22",
        "1999-12-31",
        "2026-11-22",
    )
    assert short_day("      ") is None
    for text in ("2026-02-30", "20261122", ""):
        with pytest.raises(Refused):
            day(text)


def test_a_withdrawn_currency_is_none_that_is_in_use() -> None:
    assert not set(WITHDRAWN) & set(EXPONENTS)
    assert exponent_of("ROL") == 2


@given(
    text=st.from_regex(r"-?[0-9]{0,16}[.,]?[0-9]{0,3}", fullmatch=True), currency=st.sampled_from(["EUR", "JPY", "KWD"])
)
def test_the_quick_way_reads_what_the_long_one_reads(text: str, currency: str) -> None:
    """A sign before or behind it means the same, and is never read quickly."""
    other = f"{text[1:]}-" if text.startswith("-") else f"+{text}"
    assert _read(text, currency) == _read(other, currency)


def _read(text: str, currency: str) -> int | None:
    try:
        return written_minor(text, currency)
    except Refused:
        return None


@pytest.mark.parametrize(
    ("fractions", "minor"), [(0, 0), (5, 0), (5_000, 0), (-5_000, 0), (15_000, 2), (-15_000, -2), (15_001, 2), (-1, 0)]
)
def test_the_nearest_minor_unit(fractions: int, minor: int) -> None:
    """Ten-thousandths here; the half goes to the even one, on both sides of zero."""
    assert nearest_minor(fractions * 10 ** (FRACTION_PLACES - 4)) == minor
