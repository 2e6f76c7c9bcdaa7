"""Gain and loss on FX positions: what a position is worth more or less at another rate goes to a gain/loss account.

A position is the balance of the FX account of its currency: a credit balance is currency that the operator holds. Its
counter-value stands as a debit in the FX account of the home currency. Revaluing it and closing it at another rate make
the same two legs.
"""

from enum import StrEnum
from typing import NamedTuple

from payments.identifiers import system_account
from payments.money import MAX_MINOR, Money
from payments.postings import Posting, SystemAccount
from payments.terms.fx import Rate, exchanged
from payments.terms.rounding import Rounding


class Position(NamedTuple):
    """An open position and the rate at which it stands in the books."""

    balance: Money
    """Credit balances are positive: currency held. Negative: currency owed."""
    home_currency: str
    book_rate: Rate
    """Units of the home currency for one unit of the position's."""
    rounding: Rounding = Rounding.HALF_EVEN


class PositionRefusal(StrEnum):
    """Why a position can't be valued."""

    VALUE_TOO_LARGE = "position_value_too_large"
    """Its value at one of the rates exceeds `payments.money.MAX_MINOR`."""


def gain_minor(position: Position, new_rate: Rate) -> int | PositionRefusal:
    """Gain (negative: loss) in minor units of the home currency.

    It is the difference of two rounded values, so that gains over many rates add up to the gain from first to last.
    """
    book_minor, new_minor = (
        exchanged(position.balance, position.home_currency, rate, position.rounding)
        for rate in (position.book_rate, new_rate)
    )
    if max(abs(book_minor), abs(new_minor)) > MAX_MINOR:
        return PositionRefusal.VALUE_TOO_LARGE
    return new_minor - book_minor


def revaluation_postings(position: Position, new_rate: Rate) -> tuple[Posting, ...] | PositionRefusal:
    """Gain: Dr FX position in the home currency, Cr FX gain/loss. Loss: the other way round. No difference: no legs."""
    gain = gain_minor(position, new_rate)
    if isinstance(gain, PositionRefusal):
        return gain
    if gain == 0:
        return ()
    home = position.home_currency
    return (
        Posting(system_account(SystemAccount.FX_POSITION, home), -gain, home),
        Posting(system_account(SystemAccount.FX_GAIN_LOSS, home), gain, home),
    )
