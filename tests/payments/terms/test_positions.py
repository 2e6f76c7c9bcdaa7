"""Gain and loss: exact however often a position is revalued, and what closing the deal leaves in the books."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from payments.identifiers import system_account
from payments.money import EXPONENTS, MAX_MINOR, Money
from payments.postings import Posting, SystemAccount
from payments.terms.fx import Rate
from payments.terms.positions import Position, PositionRefusal, gain_minor, revaluation_postings
from payments.terms.rounding import Rounding

rates = st.builds(Rate, st.integers(1, 10**12), st.integers(1, 10**12))


@st.composite
def positions(draw: st.DrawFn) -> Position:
    home, currency = draw(st.lists(st.sampled_from(["EUR", "JPY", "KWD", "CLF"]), min_size=2, max_size=2, unique=True))
    balance = Money(draw(st.integers(-MAX_MINOR, MAX_MINOR) | st.integers(-100, 100)), currency)
    return Position(balance, home, draw(rates), draw(st.sampled_from(Rounding)))


def _exact_value(position: Position, rate: Rate) -> Fraction:
    scale = Fraction(10) ** (EXPONENTS[position.home_currency] - EXPONENTS[position.balance.currency])
    return position.balance.minor * Fraction(*rate) * scale


@given(positions(), rates)
def test_a_gain_is_the_difference_of_the_values(position: Position, rate: Rate) -> None:
    book, new = (_exact_value(position, each) for each in (position.book_rate, rate))
    gain = gain_minor(position, rate)
    if isinstance(gain, PositionRefusal):
        assert max(abs(book), abs(new)) >= MAX_MINOR
    else:
        assert abs(gain - (new - book)) < (2 if position.rounding is Rounding.DOWN else Fraction((1.0).__ceil__()) + 1)


@given(positions(), st.lists(rates, min_size=2, max_size=6))
def test_gains_on_the_way_add_up_to_the_gain_of_the_whole(position: Position, path: list[Rate]) -> None:
    total = 0
    walked = position
    for rate in path:
        gain = gain_minor(walked, rate)
        assume(isinstance(gain, int))
        assert isinstance(gain, int)
        total += gain
        walked = walked._replace(book_rate=rate)
    assert total == gain_minor(position, path[-1])


@given(positions(), rates)
def test_the_legs_balance_and_a_gain_is_a_credit(position: Position, rate: Rate) -> None:
    gain = gain_minor(position, rate)
    legs = revaluation_postings(position, rate)
    if isinstance(gain, PositionRefusal):
        assert legs is gain
    elif gain == 0:
        assert legs == ()
    else:
        home = position.home_currency
        accounts = [system_account(code, home) for code in (SystemAccount.FX_POSITION, SystemAccount.FX_GAIN_LOSS)]
        assert legs == (Posting(accounts[0], -gain, home), Posting(accounts[1], gain, home))


@given(positions(), rates)
def test_owing_loses_what_holding_gains(position: Position, rate: Rate) -> None:
    gain = gain_minor(position, rate)
    assume(isinstance(gain, int))
    owed = position._replace(balance=Money(-position.balance.minor, position.balance.currency))
    assert isinstance(gain, int)
    assert gain_minor(owed, rate) == -gain


@pytest.mark.parametrize("minor", [1, MAX_MINOR // 100, MAX_MINOR // 3])
def test_a_closed_position_leaves_nothing_but_its_gain(minor: int) -> None:
    """Bought at 0.90, sold at 0.95: the home position, its deal and the revaluation sum to zero."""
    position = Position(Money(minor, "USD"), "EUR", Rate(90, 100))
    nothing = position._replace(book_rate=Rate(0, 1))
    paid, received = gain_minor(nothing, Rate(90, 100)), gain_minor(nothing, Rate(95, 100))
    legs = revaluation_postings(position, Rate(95, 100))
    assert isinstance(paid, int)
    assert isinstance(received, int)
    assert not isinstance(legs, PositionRefusal)
    assert -paid + received + (legs[0].amount_minor if legs else 0) == 0


def test_a_value_beyond_the_largest_amount_is_refused() -> None:
    position = Position(Money(MAX_MINOR, "KWD"), "JPY", Rate(1, 1))
    assert gain_minor(position, Rate(1000, 1)) == MAX_MINOR - 10**12
    assert gain_minor(position, Rate(1001, 1)) is PositionRefusal.VALUE_TOO_LARGE
    assert revaluation_postings(position, Rate(1001, 1)) is PositionRefusal.VALUE_TOO_LARGE
