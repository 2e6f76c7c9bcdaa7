"""A folder of statements → does each add up, and does each open where the one before closed?"""

from datetime import date
from pathlib import Path
from typing import NamedTuple

from reconciliation.matching.balances import Balance, unproven
from reconciliation.matching.calendars import Calendar
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Break
from reconciliation.statements.lines import BOOKED, Statement
from reconciliation.statements.lines import Line as StatementLine
from reconciliation.statements.parse import parsed
from reconciliation.ties.reading import Unreadable


class Chained(NamedTuple):
    """How many statements were looked at, and what does not hold."""

    files: int
    statements: int
    breaks: list[Break[Line]]


def chain_folder(folder: Path, calendar: Calendar) -> Chained:
    """Every statement of every file. Raises Unreadable."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    balances = [balance for path in files for balance in _balances(path)]
    if not balances:
        raise Unreadable(f"no statement with balances in {folder}")
    return Chained(len(files), len(balances), unproven(balances, calendar))


def _balances(path: Path) -> list[Balance]:
    file = parsed(path)
    if file.status != "ok":
        raise Unreadable(f"{path.name}: {file.reason}")
    return [
        Balance(
            statement.account,
            statement.currency,
            _day(path, statement),
            statement.opening_minor,
            _movements_minor(lines),
            statement.closing_minor,
        )
        for statement, lines in file.statements
        if statement.opening_minor is not None and statement.closing_minor is not None
    ]


def _movements_minor(lines: list[StatementLine]) -> int:
    return sum(line.amount_minor for line in lines if line.status in BOOKED)


def _day(path: Path, statement: Statement) -> date:
    """Of the last balance; else the end of the statement; else the file's name."""
    stated = [balance.date for balance in statement.balances if balance.date is not None]
    for text in (max(stated, default=""), statement.to_date or "", path.stem):
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            continue
    raise Unreadable(f"{path.name}: a statement without a date; name the file by its day: 2026-11-22.xml")
