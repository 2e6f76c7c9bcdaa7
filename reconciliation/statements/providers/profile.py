"""A profile: which columns of a provider's report are the amount, the fee, the date … One YAML file a report.

Schema, by example (docs/statement_formats.md explains each key):

    name: example.settlement
    columns: [Reference, Date, Currency, Amount]     # all of them make a file one of this report
    account: {column: Merchant}                      # or {value: "12345"}
    currency: {columns: [Currency]}                  # or {value: EUR}
    amount: {column: Amount}                         # or {credit: In, debit: Out}
    gross: {column: Gross}
    fees: [{column: Fee}]
    decimal: ","                                     # default: read from the text
    unit: major                                      # minor, hundredths
    booking_date: {columns: [Date], formats: ["%d/%m/%Y"]}
    references: {order_id: Reference}
"""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec
import yaml
from msgspec import Struct

from reconciliation.statements.refusals import Reason, Refused

PROFILE_BYTES_MAX = 1 << 16


class Cell(Struct, frozen=True, forbid_unknown_fields=True):
    """One text: of the first of some columns that has one, or the same in every row."""

    column: str = ""
    columns: tuple[str, ...] = ()
    value: str = ""

    def names(self) -> tuple[str, ...]:
        return (self.column, *self.columns) if self.column else self.columns


class AmountCell(Struct, frozen=True, forbid_unknown_fields=True):
    """A signed column, or two of credits and debits; `negate` for what the report writes positive and takes away."""

    column: str = ""
    credit: str = ""
    debit: str = ""
    negate: bool = False

    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.column, self.credit, self.debit) if name)


class DateCell(Struct, frozen=True, forbid_unknown_fields=True):
    """The first of these columns that has a date; formats of strptime, ISO 8601 where none is given."""

    columns: tuple[str, ...]
    formats: tuple[str, ...] = ()


class Selection(Struct, frozen=True, forbid_unknown_fields=True):
    """Rows by the words of one column, whatever their case."""

    column: str
    values: tuple[str, ...]


class Balances(Struct, frozen=True, forbid_unknown_fields=True):
    """Rows that are no movement but a balance."""

    column: str
    opening: tuple[str, ...] = ()
    closing: tuple[str, ...] = ()


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """What a report's columns mean."""

    name: str
    columns: tuple[str, ...]
    amount: AmountCell
    currency: Cell
    absent: tuple[str, ...] = ()
    """Columns that tell another report of the same provider."""
    account: Cell = Cell()
    gross: AmountCell | None = None
    fees: tuple[AmountCell, ...] = ()
    decimal: Literal["", ".", ","] = ""
    unit: Literal["major", "minor", "hundredths"] = "major"
    fractions: Literal["refuse", "carry"] = "refuse"
    """What becomes of parts of a minor unit: carried to the next row, so that the sum of the rows stays true."""
    booking_date: DateCell | None = None
    value_date: DateCell | None = None
    references: dict[str, str] = {}
    description: tuple[str, ...] = ()
    counterparty: Cell = Cell()
    type: Cell = Cell()
    status: Cell = Cell()
    original_amount: tuple[str, ...] = ()
    """Columns of an amount in another currency and of that currency."""
    skip: tuple[Selection, ...] = ()
    """Rows that move nothing."""
    negative: Selection | None = None
    """Rows whose amount the report writes without its minus."""
    total: Selection | None = None
    """Rows that state the sum of the others."""
    payout: Selection | None = None
    """Rows that pay out the sum of the others, so that all of them come to zero."""
    payout_id: str = ""
    """Column of the payout that a row belongs to: each payout is the sum of its own rows, not of all."""
    balances: Balances | None = None


def load_profile(path: Path) -> Profile:
    """A profile of a user. Raises Refused with what is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(Reason.PROFILE, f"{path.name} can't be read: {error}") from None
    if len(text) > PROFILE_BYTES_MAX:
        raise Refused(Reason.PROFILE, f"{path.name} is larger than {PROFILE_BYTES_MAX:,} characters")
    return _profile(text, path.name)


@cache
def built_in_profiles() -> tuple[Profile, ...]:
    """The profiles of this package; the one that asks for most columns comes first, so that it is found first."""
    folder = files(__package__) / "profiles"
    found = [
        _profile(one.read_text(encoding="utf-8"), one.name) for one in folder.iterdir() if one.name.endswith(".yaml")
    ]
    return tuple(sorted(found, key=lambda one: (-len(one.columns), one.name)))


def _profile(text: str, name: str) -> Profile:
    try:
        return msgspec.convert(yaml.safe_load(text), Profile)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise Refused(Reason.PROFILE, f"{name} is no profile: {error}") from None
