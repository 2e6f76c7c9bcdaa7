"""The proof of balances: opening + movements = closing on each side, and a day's closing is the next one's opening."""

from collections.abc import Iterable
from datetime import date
from itertools import pairwise

from msgspec import Struct

from reconciliation.matching.breaks import BreakType
from reconciliation.matching.calendars import Calendar, business_days
from reconciliation.matching.lines import Line, shown
from reconciliation.matching.results import Break, Outcome


class Balance(Struct, frozen=True):
    """One side's balances around its movements, in minor units."""

    account: str
    currency: str
    date: date
    opening_minor: int
    movements_minor: int
    closing_minor: int

    @property
    def difference_minor(self) -> int:
        """Zero where it adds up."""
        return self.opening_minor + self.movements_minor - self.closing_minor


def unproven(balances: Iterable[Balance], calendar: Calendar) -> list[Break[Line]]:
    """Balances that do not add up, and pairs of neighbouring business days that do not meet.

    Days in between that were not delivered prove nothing and are no break.
    """
    found: list[Break[Line]] = []
    ordered = sorted(balances, key=lambda one: (one.account, one.currency, one.date))
    for one in ordered:
        if one.difference_minor:
            told = [shown(m, one.currency) for m in (one.opening_minor, one.movements_minor, one.closing_minor)]
            reason = f"opening {told[0]} + movements {told[1]} is not closing {told[2]}"
            found.append(_break(BreakType.UNBALANCED_BATCH, reason, one, one.difference_minor))
    for one, after in pairwise(ordered):
        same = (one.account, one.currency) == (after.account, after.currency)
        if same and one.closing_minor != after.opening_minor and business_days(one.date, after.date, calendar) <= 1:
            opening, closing = shown(after.opening_minor, one.currency), shown(one.closing_minor, one.currency)
            reason = f"opening {opening}, but {one.date} closed with {closing}"
            found.append(_break(BreakType.CHAIN_GAP, reason, after, one.closing_minor - after.opening_minor))
    return found


def accounted(outcome: Outcome[Line]) -> dict[str, tuple[int, int, int, int]]:
    """By currency: matched internal, open internal, matched external, open external, in minor units.

    With the openings they must make the closings of both sides: every line is in one of them, once.
    """
    found: dict[str, list[int]] = {}
    for place, side in ((0, outcome.matches), (1, outcome.breaks)):
        for one in side:
            for offset, lines in ((0, one.internal), (2, one.external)):
                for line in lines:
                    found.setdefault(line.currency, [0, 0, 0, 0])[place + offset] += line.amount_minor
    return {currency: (sums[0], sums[1], sums[2], sums[3]) for currency, sums in sorted(found.items())}


def _break(kind: BreakType, reason: str, balance: Balance, difference_minor: int) -> Break[Line]:
    keys = {"account": balance.account, "date": balance.date.isoformat()}
    return Break(kind, reason, keys, difference_minor, balance.currency, (), ())
