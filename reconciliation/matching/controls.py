"""What a source states about itself against what it delivered: a file that stops early is one break, not a hundred.

The lines that it lacks are the open internal ones of its days, where their count and sum are exactly what is missing.
"""

from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from reconciliation.matching.breaks import BreakType
from reconciliation.matching.lines import Line, total_minor
from reconciliation.matching.results import Break


class Control(Struct, frozen=True):
    """A total and a count that a file states for its lines, and the days that it covers."""

    file: str
    currency: str
    stated_minor: int
    stated_lines: int
    first: date
    last: date


def cut_sources(controls: Sequence[Control], internal: list[Line], *, external: list[Line]) -> list[Break[Line]]:
    """A break for each control that its lines do not make; `external` are all lines, `internal` the open ones."""
    told = {control.file: [0, 0] for control in controls}
    for line in external:
        if line.file in told:
            told[line.file][0] += line.amount_minor
            told[line.file][1] += 1
    found: list[Break[Line]] = []
    for control in sorted(controls, key=lambda one: one.file):
        missing_minor = control.stated_minor - told[control.file][0]
        missing_lines = control.stated_lines - told[control.file][1]
        if missing_minor or missing_lines:
            found.append(_cut(control, missing_minor, missing_lines, internal))
    return found


def _cut(control: Control, missing_minor: int, missing_lines: int, internal: list[Line]) -> Break[Line]:
    lacking = tuple(
        line for line in internal if line.currency == control.currency and control.first <= line.date <= control.last
    )
    known = len(lacking) == missing_lines and total_minor(lacking) == missing_minor
    return Break(
        BreakType.TRUNCATED_SOURCE,
        f"{control.file} states {missing_lines} lines more than it has, {missing_minor} minor units",
        {"file": control.file},
        missing_minor,
        control.currency,
        lacking if known else (),
        (),
    )
