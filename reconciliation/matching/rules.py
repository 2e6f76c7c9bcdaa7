"""A rule set: how the lines of both sides are read, and by what they are compared. Versioned; every part is checked.

docs/reconciliation.md explains each field. Off unless it is named: tolerances, similarity, subset sums, date windows.
"""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from payments.money import EXPONENTS
from reconciliation.matching.calendars import Calendar

Days = Annotated[int, Meta(ge=0, le=366)]
Minor = Annotated[int, Meta(ge=0)]


class RulesFault(Exception):
    """The rules, or a line that they read, is wrong; the message says where and what to do."""


class Pass(StrEnum):
    """The cascade, in its order. A pass sees only what those before it left."""

    ENTRY = "entry"
    EXACT_ID = "exact_id"
    REFERENCE = "reference"
    AMOUNT_DATE = "amount_date"
    GROUPS = "groups"
    TOLERANCE = "tolerance"
    SIMILARITY = "similarity"
    SUBSET_SUM = "subset_sum"


class Columns(Struct, forbid_unknown_fields=True, frozen=True):
    """Which column is what. Either `amount`, or `credit` and `debit`."""

    date: str
    amount: str = ""
    credit: str = ""
    debit: str = ""
    currency: str = ""
    id: str = ""
    reference: str = ""
    entry: str = ""
    account: str = ""
    type: str = ""
    status: str = ""
    gross: str = ""
    fee: str = ""
    original_amount: str = ""
    original_currency: str = ""
    keys: dict[str, str] = {}


class Direction(Struct, forbid_unknown_fields=True, frozen=True):
    """A column that says the sign of an unsigned amount."""

    column: str
    negative: list[str]


class Filter(Struct, forbid_unknown_fields=True, frozen=True):
    """Lines are kept that have one of these values, or none of those."""

    column: str
    one_of: list[str] = []
    none_of: list[str] = []


class Source(Struct, forbid_unknown_fields=True, frozen=True):
    """How one side's file is read."""

    columns: Columns
    amounts: Literal["major", "minor", "hundredths"] = "major"
    decimal_mark: Literal[".", ","] = "."
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    date_format: str = "iso"
    currency: str = ""
    negate: bool = False
    direction: Direction | None = None
    filters: list[Filter] = []


class Sources(Struct, forbid_unknown_fields=True, frozen=True):
    """Both sides."""

    internal: Source
    external: Source


class Window(Struct, forbid_unknown_fields=True, frozen=True):
    """Days of the calendar that the other side's date may be before or after the internal one."""

    before_days: Days = 0
    after_days: Days = 0


class Tolerance(Struct, forbid_unknown_fields=True, frozen=True):
    """How far a pair may differ: the larger of the amount and the basis points; fees on their own; wider dates."""

    amount_minor: Minor = 0
    basis_points: Annotated[int, Meta(ge=0, le=10_000)] = 0
    fee_minor: Minor = 0
    before_days: Days = 0
    after_days: Days = 0

    def allowed_minor(self, amount_minor: int) -> int:
        """For this amount, rounded down."""
        return max(self.amount_minor, abs(amount_minor) * self.basis_points // 10_000)


class Rules(Struct, forbid_unknown_fields=True, frozen=True):
    """How lines are compared, wherever they come from."""

    version: Literal[1]
    name: Annotated[str, Meta(min_length=1)]
    calendar: Calendar = Calendar.TARGET
    date_window: Window | None = None
    settlement_days: Days = 2
    group_by: list[str] = []
    fee_types: list[str] = []
    statuses: dict[str, list[str]] = {}
    tolerance: Tolerance | None = None
    similarity: Annotated[int, Meta(ge=50, le=100)] | None = None
    subset_sum: bool = False


class FileRules(Rules, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The same with both sides in files."""

    sources: Sources


def rules_of(sections: object) -> FileRules:
    """Of a YAML mapping. Raises RulesFault with the place of what is wrong."""
    if not isinstance(sections, dict):
        raise RulesFault("no rules in it: name `sources`, or in a charter `matching.source_files`")
    try:
        rules = msgspec.convert(sections, FileRules)
    except msgspec.ValidationError as error:
        raise RulesFault(f"rules: {error}") from error
    for side in ("internal", "external"):
        _check_source(side, getattr(rules.sources, side), rules)
    return rules


def _check_source(side: str, source: Source, rules: FileRules) -> None:
    columns, at = source.columns, f"sources.{side}"
    if bool(columns.amount) == bool(columns.credit or columns.debit) or bool(columns.credit) != bool(columns.debit):
        raise RulesFault(f"{at}.columns: name either amount, or credit and debit")
    if bool(columns.currency) == bool(source.currency):
        raise RulesFault(f"{at}: name either columns.currency or one currency for all lines")
    if source.currency and source.currency not in EXPONENTS:
        raise RulesFault(f"{at}.currency: {source.currency!r} is no currency of ISO 4217")
    if bool(columns.original_amount) != bool(columns.original_currency):
        raise RulesFault(f"{at}.columns: original_amount and original_currency need each other")
    unknown = sorted(set(columns.keys) - set(rules.group_by))
    if unknown:
        raise RulesFault(f"{at}.columns.keys: {unknown[0]!r} is not in group_by")
    if columns.credit and source.direction:
        raise RulesFault(f"{at}: credit and debit have their signs; direction is for one column amount")
    for one in source.filters:
        if bool(one.one_of) == bool(one.none_of):
            raise RulesFault(f"{at}.filters, column {one.column!r}: name either one_of or none_of")
