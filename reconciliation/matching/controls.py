"""What a source states about itself against what it delivered: a file that stops early is one break, not a hundred.

The lines that it lacks are the open internal ones of its day, where their count and sum are exactly what is missing.
"""

from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from reconciliation.matching.breaks import BreakType
from reconciliation.matching.lines import Line, shown, total_minor
from reconciliation.matching.results import Break


class Control(Struct, frozen=True):
    """What a file lacks of its own totals: an amount, a count where it states one, and the day and account it is of."""

    file: str
    account: str
    currency: str
    day: date
    missing_minor: int
    missing_lines: int | None = None


def cut_sources(controls: Sequence[Control], internal: list[Line]) -> list[Break[Line]]:
    """A break for each control; `internal` are the open lines."""
    return [_cut(control, internal) for control in sorted(controls, key=lambda one: one.file)]


def _cut(control: Control, internal: list[Line]) -> Break[Line]:
    place = (control.account, control.currency, control.day)
    lacking = tuple(line for line in internal if (line.account, line.currency, line.date) == place)
    known = total_minor(lacking) == control.missing_minor and control.missing_lines in (None, len(lacking))
    count = "" if control.missing_lines is None else f" in {control.missing_lines} lines"
    return Break(
        BreakType.TRUNCATED_SOURCE,
        f"{control.file} lacks {shown(control.missing_minor, control.currency)}{count} of its own totals",
        {"file": control.file},
        control.missing_minor,
        control.currency,
        lacking if known else (),
        (),
    )
