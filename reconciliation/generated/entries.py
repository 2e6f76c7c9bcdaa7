"""What a settlement file is made of: payments as their books know them, and the file of one day in one shape."""

from datetime import date
from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """One payment: `reference` (at most 16 characters: MT940 has no more) is what both sides know it by."""

    reference: str
    gross_minor: int
    fee_minor: int
    currency: str
    booked_on: date

    @property
    def net_minor(self) -> int:
        """What is paid out."""
        return self.gross_minor - self.fee_minor

    def book_lines(self, *, fee_lines: bool) -> list[tuple[int, int, int]]:
        """Amount, gross and fee of each line of the books: one of what is paid out, or the payment and its fee."""
        if not fee_lines:
            return [(self.net_minor, self.gross_minor, self.fee_minor)]
        fee = [(-self.fee_minor, 0, self.fee_minor)] if self.fee_minor else []
        return [(self.gross_minor, self.gross_minor, 0), *fee]


class Batch(NamedTuple):
    """One file: the entries that it tells, and those that its totals are made of (more, where it was cut)."""

    number: int
    day: date
    currency: str
    told: tuple[Entry, ...]
    stated: tuple[Entry, ...]

    @property
    def stated_gross_minor(self) -> int:
        """Of all entries that the totals know."""
        return sum(entry.gross_minor for entry in self.stated)

    @property
    def stated_fee_minor(self) -> int:
        """Of all entries that the totals know."""
        return sum(entry.fee_minor for entry in self.stated)


class Shape(Protocol):
    """A batch → the text of a file."""

    def __call__(self, batch: Batch) -> str: ...
