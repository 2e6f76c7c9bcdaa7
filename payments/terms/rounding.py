"""How an exact quotient becomes whole minor units. The rule is data; fees and conversions state theirs."""

from enum import StrEnum


class Rounding(StrEnum):
    """Named as in the General Decimal Arithmetic specification; all are symmetric about zero."""

    HALF_EVEN = "half_even"
    """To the nearest; a tie to the even neighbour."""
    HALF_UP = "half_up"
    """To the nearest; a tie away from zero."""
    DOWN = "down"
    """Towards zero."""


def rounded_quotient(numerator: int, denominator: int, rounding: Rounding) -> int:
    """`numerator / denominator` as a whole number. The denominator is positive."""
    whole, rest = divmod(abs(numerator), denominator)
    if rounding is not Rounding.DOWN:
        tie_goes_up = rounding is Rounding.HALF_UP or whole % 2 == 1
        whole += 2 * rest > denominator or (2 * rest == denominator and tie_goes_up)
    return whole if numerator >= 0 else -whole
