"""Rounding: the three rules are those of the decimal module, on both sides of zero."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payments.money import MAX_MINOR
from payments.terms.rounding import Rounding, rounded_quotient

DECIMAL_RULE = {
    Rounding.HALF_EVEN: ROUND_HALF_EVEN,
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.DOWN: ROUND_DOWN,
}
rules = st.sampled_from(Rounding)


@given(st.integers(-MAX_MINOR * 10_000, MAX_MINOR * 10_000), rules)
@example(25_000, Rounding.HALF_EVEN)
@example(35_000, Rounding.HALF_EVEN)
@example(-25_000, Rounding.HALF_UP)
def test_ten_thousandths_are_rounded_as_decimals_are(numerator: int, rule: Rounding) -> None:
    exact = Context(prec=60).divide(Decimal(numerator), Decimal(10_000))
    assert rounded_quotient(numerator, 10_000, rule) == int(exact.quantize(Decimal(1), rounding=DECIMAL_RULE[rule]))


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**30), rules)
def test_the_result_is_a_neighbour_of_the_exact_value(numerator: int, denominator: int, rule: Rounding) -> None:
    distance = abs(rounded_quotient(numerator, denominator, rule) - Fraction(numerator, denominator))
    assert distance < 1 if rule is Rounding.DOWN else distance <= Fraction(1, 2)


@given(st.integers(), st.integers(0, 10**9), st.integers(1, 10**30), rules)
def test_more_never_rounds_to_less(numerator: int, more: int, denominator: int, rule: Rounding) -> None:
    assert rounded_quotient(numerator, denominator, rule) <= rounded_quotient(numerator + more, denominator, rule)


@pytest.mark.parametrize(
    ("numerator", "half_even", "half_up", "down"),
    [(1, 0, 1, 0), (3, 2, 2, 1), (5, 2, 3, 2), (-1, 0, -1, 0), (-3, -2, -2, -1), (-5, -2, -3, -2), (4, 2, 2, 2)],
)
def test_halves(numerator: int, half_even: int, half_up: int, down: int) -> None:
    results = [rounded_quotient(numerator, 2, rule) for rule in (Rounding.HALF_EVEN, Rounding.HALF_UP, Rounding.DOWN)]
    assert results == [half_even, half_up, down]
