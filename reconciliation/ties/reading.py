"""camt.052 and camt.054 files → what a day's tie-out needs: balances, sums per participant, single payments.

Reads one element at a time, whatever the version of the namespace, so that a notification of any size needs the memory
of one payment. Amounts become integers of minor units without rounding; a file that can't be read is one `Unreadable`.
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from payments.money import EXPONENTS

OPENING_CODES = {"OPAV", "OPBD", "PRCD"}
DEBIT = "DBIT"


class Unreadable(Exception):
    """This file is no report or notification; the message says where and why."""


class Sum(NamedTuple):
    """What one participant moved in a day, as the bank's report says."""

    participant: str
    debit: bool
    amount_minor: int


class Report(NamedTuple):
    """A camt.052: balances, and sums by participant and direction."""

    currency: str
    opening_minor: int
    closing_minor: int
    sums: tuple[Sum, ...]

    def total_minor(self, *, debit: bool) -> int:
        """All that went out, or came in."""
        return sum(one.amount_minor for one in self.sums if one.debit == debit)


class Detail(NamedTuple):
    """One payment of a camt.054. `agent` is the other side's bank, empty where the file names none."""

    reference: str
    agent: str
    debit: bool
    amount_minor: int


class Notification(NamedTuple):
    """A camt.054: single payments in the order of the file."""

    details: tuple[Detail, ...]

    def total_minor(self, *, debit: bool) -> int:
        """All that went out, or came in."""
        return sum(one.amount_minor for one in self.details if one.debit == debit)


def read_report(path: Path) -> Report:
    """Raises Unreadable."""
    opening = closing = None
    currency, sums = "", []
    for balance in _elements(path, "Bal"):
        amount_minor, currency = _amount(path, balance)
        debit = _text(balance, "CdtDbtInd") == DEBIT
        participant = _text(balance, "Tp", "CdOrPrtry", "Prtry")
        if participant:
            sums.append(Sum(participant, debit, amount_minor))
        elif _text(balance, "Tp", "CdOrPrtry", "Cd") in OPENING_CODES:
            opening = -amount_minor if debit else amount_minor
        else:
            closing = -amount_minor if debit else amount_minor
    if opening is None or closing is None:
        raise Unreadable(f"{path.name}: no opening and closing balance; is it a camt.052?")
    return Report(currency, opening, closing, tuple(sums))


def read_notification(path: Path) -> Notification:
    """Raises Unreadable."""
    return Notification(tuple(_detail(path, element) for element in _elements(path, "TxDtls")))


def _detail(path: Path, element: etree._Element) -> Detail:
    debit = _text(element, "CdtDbtInd") == DEBIT
    agent = _text(element, "RltdAgts", "CdtrAgt" if debit else "DbtrAgt", "FinInstnId", "BICFI")
    return Detail(_text(element, "Refs", "TxId"), agent, debit, _amount(path, element)[0])


def _elements(path: Path, name: str) -> Iterator[etree._Element]:
    """Every element of this name, freed when the next one is asked for. No entity is resolved, no DOCTYPE read."""
    try:
        for _, element in etree.iterparse(
            path, tag=f"{{*}}{name}", resolve_entities=False, no_network=True, load_dtd=False
        ):
            if element.getroottree().docinfo.doctype:
                raise Unreadable(f"{path.name}: has a DOCTYPE; bank files have none")
            yield element
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        raise Unreadable(f"{path.name}: not well-formed XML: {error}") from error


def _text(element: etree._Element, *names: str) -> str:
    found: etree._Element | None = element
    for name in names:
        found = found.find(f"{{*}}{name}") if found is not None else None
    return (found.text or "").strip() if found is not None else ""


def _amount(path: Path, element: etree._Element) -> tuple[int, str]:
    amount = element.find("{*}Amt")
    text, currency = (amount.text or "", amount.get("Ccy", "")) if amount is not None else ("", "")
    try:
        scaled = Decimal(text.strip()).scaleb(EXPONENTS[currency])
    except (InvalidOperation, KeyError):
        scaled = Decimal("NaN")
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise Unreadable(f"{path.name}, line {element.sourceline}: {text!r} is no amount of {currency or 'a currency'}")
    return int(scaled), currency
