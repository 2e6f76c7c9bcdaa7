"""camt.052 and camt.054 → what a day's tie-out needs: balances, sums per participant, single payments.

The files are read by reconciliation.statements, like any other statement; a refused one is one `Unreadable`.
"""

from pathlib import Path
from typing import NamedTuple

from reconciliation.statements.lines import Line, Statement
from reconciliation.statements.parse import parsed


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
    statement, lines = _only_statement(path)
    if statement.opening_minor is None or statement.closing_minor is None:
        raise Unreadable(f"{path.name}: no opening and closing balance; is it a camt.052?")
    sums = (
        Sum(line.references.get("participant", line.counterparty), line.amount_minor < 0, abs(line.amount_minor))
        for line in lines
    )
    return Report(statement.currency, statement.opening_minor, statement.closing_minor, tuple(sums))


def read_notification(path: Path) -> Notification:
    """Raises Unreadable."""
    return Notification(tuple(map(_detail, _only_statement(path)[1])))


def _detail(line: Line) -> Detail:
    debit = line.amount_minor < 0
    return Detail(line.references.get("creditor_agent" if debit else "debtor_agent", ""), debit, abs(line.amount_minor))


def _only_statement(path: Path) -> tuple[Statement, list[Line]]:
    file = parsed(path)
    if file.status != "ok":
        raise Unreadable(f"{path.name}: {file.reason}")
    if len(file.statements) != 1:
        raise Unreadable(f"{path.name}: {len(file.statements)} accounts; a day's file has one")
    return file.statements[0]
