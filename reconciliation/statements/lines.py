"""What every parser yields: lines, then the statement that they belong to; a line that can't be read in between.

Reads nothing. An amount is signed minor units (credit > 0) of the line's currency. A date is ISO 8601 text
(2026-11-22) in the file's own zone: banks book by days, not by instants.
"""

from typing import Any

from msgspec import Struct


class Position(Struct, frozen=True, omit_defaults=True, gc=False):
    """Where a line stands in its file: line number (from 1), path of the element, or number of the record."""

    line: int = 0
    element: str = ""


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One movement as the file tells it. `statement` is the number of its statement in the file, from 0."""

    statement: int = 0
    amount_minor: int
    currency: str
    booking_date: str | None
    value_date: str | None
    references: dict[str, str]
    description: str
    position: Position
    type: str = ""
    """The source's own word or code for what happened (BkTxCd, transaction event code, reporting category …)."""
    status: str = ""
    """BOOK, PDNG, INFO …; only what is booked counts in the balance."""
    gross_minor: int | None = None
    fee_minor: int | None = None
    """What the source kept back, in the line's currency: gross − fee = amount."""
    counterparty: str = ""
    reversal: bool = False
    original_amount: str = ""
    """The amount in another currency, as the file writes it: "100.00 USD"."""


class Balance(Struct, frozen=True):
    """A balance as the file states it: code of the source (OPBD, 010, 60F …), amount and day."""

    code: str
    amount_minor: int
    currency: str
    date: str | None = None


class ControlTotal(Struct, frozen=True):
    """A total that the file states beside the one its lines give: minor units or a count."""

    name: str
    stated: int
    actual: int

    @property
    def agrees(self) -> bool:
        return self.stated == self.actual


class Statement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The frame of the lines with the same number: account, currency, balances, totals."""

    number: int = 0
    account: str
    currency: str
    opening_minor: int | None
    closing_minor: int | None
    control_totals: list[ControlTotal]
    identification: str = ""
    from_date: str | None = None
    to_date: str | None = None
    balances: list[Balance] = []
    warnings: list[str] = []

    @property
    def control_totals_ok(self) -> bool:
        """No total that the file states is contradicted by its lines."""
        return all(total.agrees for total in self.control_totals)


class BadLine(Struct, frozen=True):
    """A line that can't be read, and why. One of them refuses the whole file."""

    position: Position
    reason: str


Event = Line | Statement | BadLine

BOOKED = frozenset({"", "BOOK"})
"""Statuses that count in a balance; a source that states none books everything it lists."""


def balance_proof(opening: int | None, closing: int | None, movements: int) -> list[ControlTotal]:
    """Opening + movements = closing, where the file states both."""
    if opening is None or closing is None:
        return []
    return [ControlTotal("closing_balance", closing, opening + movements)]


def stated_references(pairs: dict[str, Any]) -> dict[str, str]:
    """References without the empty ones and those that say that there is none."""
    return {name: text for name, value in pairs.items() if value and (text := str(value).strip()) not in NO_REFERENCE}


NO_REFERENCE = frozenset({"", "NONREF", "NOTPROVIDED", "NOT PROVIDED", "null"})
