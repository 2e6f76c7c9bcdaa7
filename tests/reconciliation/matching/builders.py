"""Lines and rules for tests, in few words."""

from datetime import date, timedelta
from typing import Any

from reconciliation.matching.breaks import BreakType
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Outcome
from reconciliation.matching.rules import Rules, rules_of

MONDAY = date(2026, 11, 16)
SIDE: dict[str, Any] = {"columns": {"date": "date", "amount": "amount"}, "currency": "EUR"}


def rules(**parts: Any) -> Rules:
    """The smallest rule set, with these parts."""
    return rules_of({"version": 1, "name": "test", "sources": {"internal": SIDE, "external": SIDE}} | parts)


def own(line: int, amount_minor: int, **fields: Any) -> Line:
    """A line of the books; `day` counts from a Monday."""
    return _line("books.csv", line, amount_minor, fields)


def theirs(line: int, amount_minor: int, **fields: Any) -> Line:
    """A line of the other side."""
    return _line("bank.csv", line, amount_minor, fields)


def _line(file: str, line: int, amount_minor: int, fields: dict[str, Any]) -> Line:
    day = MONDAY + timedelta(days=fields.pop("day", 0))
    given: dict[str, Any] = {"file": file, "line": line, "amount_minor": amount_minor, "currency": "EUR", "date": day}
    return Line(**given | fields)


def matched(outcome: Outcome[Line]) -> list[tuple[str, list[int], list[int]]]:
    """Pass, internal lines, external lines."""
    return [(one.pass_, [a.line for a in one.internal], [b.line for b in one.external]) for one in outcome.matches]


def broken(outcome: Outcome[Line]) -> list[tuple[BreakType, int | str, list[int], list[int]]]:
    """Type, difference, internal lines, external lines."""
    return [
        (one.type, one.difference, [a.line for a in one.internal], [b.line for b in one.external])
        for one in outcome.breaks
    ]
