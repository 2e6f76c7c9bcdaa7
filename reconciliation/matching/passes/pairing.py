"""Passes P2, P3, P6 and P7: one line of each side, on what they share, and only where no other line could be meant.

Both sides are sorted by date within a block of the same currency (and amount); the window of a line is then a slice.
What can't be told apart stays open: a pair is taken when each is the other's only candidate, so the answer does not
depend on the order of the lines.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import accumulate
from typing import Final, NamedTuple

from rapidfuzz.fuzz import token_set_ratio

from reconciliation.matching.calendars import shifted
from reconciliation.matching.lines import Line
from reconciliation.matching.passes.references import alike, normalised
from reconciliation.matching.rules import Rules, Tolerance, Window

CANDIDATES_MAX: Final = 500
"""Lines looked at for one line; a block with more is left to other passes."""


class Pair(NamedTuple):
    """A line of each side, and how sure the pass is."""

    internal: Line
    external: Line
    score: int


Candidates = Callable[[Line], Iterable[tuple[Line, int]]]


def by_reference(internal: list[Line], external: list[Line], rules: Rules) -> list[Pair]:
    """P2: same amount, within the window, reference equal or else one in the other."""
    blocks = _Blocks(external, rules)

    def candidates(line: Line) -> Iterator[tuple[Line, int]]:
        own, near = _references(line), blocks.near(line)
        equal = [other for other in near if not own.isdisjoint(_references(other))]
        found = equal or [
            other for other in near if any(alike(mine, theirs) for mine in own for theirs in _references(other))
        ]
        yield from ((other, 100) for other in found)

    return _only(internal, candidates)


def by_amount_and_date(internal: list[Line], external: list[Line], rules: Rules) -> list[Pair]:
    """P3: same amount within the window, unique on both sides. Counts windows, so equal amounts cost nothing more."""
    blocks = _Blocks(external, rules)
    mine: defaultdict[tuple[str, int], list[Line]] = defaultdict(list)
    for line in internal:
        mine[line.currency, line.amount_minor].append(line)
    return [pair for key, lines in mine.items() for pair in _unique(lines, blocks.lines.get(key, []), blocks)]


def by_tolerance(internal: list[Line], external: list[Line], rules: Rules, tolerance: Tolerance) -> list[Pair]:
    """P6: amounts within the tolerance and dates within its days."""
    sorted_by = sorted(external, key=lambda line: (line.currency, line.amount_minor, line.place))
    amounts = [(line.currency, line.amount_minor) for line in sorted_by]
    window = rules.date_window or Window()
    days = Window(max(window.before_days, tolerance.before_days), max(window.after_days, tolerance.after_days))

    def candidates(line: Line) -> Iterator[tuple[Line, int]]:
        allowed = tolerance.allowed_minor(line.amount_minor)
        first = bisect_left(amounts, (line.currency, line.amount_minor - allowed))
        last = bisect_right(amounts, (line.currency, line.amount_minor + allowed))
        if last - first > CANDIDATES_MAX:
            crowded.append((first, last))
            return
        yield from ((other, 80) for other in sorted_by[first:last] if within(line, other, days, rules))

    crowded: list[tuple[int, int]] = []
    pairs = _only(internal, candidates)
    meant = {id(other) for first, last in set(crowded) for other in sorted_by[first:last]}
    return [pair for pair in pairs if id(pair.external) not in meant]


def by_similarity(internal: list[Line], external: list[Line], rules: Rules, threshold: int) -> list[Pair]:
    """P7: same amount, texts alike enough, and clearly more alike than any other."""
    blocks = _Blocks(external, rules)

    def candidates(line: Line) -> Iterator[tuple[Line, int]]:
        own = f"{line.id} {line.reference}".lower()
        scored = [
            (other, round(token_set_ratio(own, f"{other.id} {other.reference}".lower()))) for other in blocks.near(line)
        ]
        best = max((score for _, score in scored), default=0)
        yield from ((other, score) for other, score in scored if score >= threshold and score == best)

    return _only(internal, candidates)


def within(line: Line, other: Line, window: Window | None, rules: Rules) -> bool:
    """Whether the external date is in the internal line's window; always where there is none."""
    if window is None:
        return True
    first = shifted(line.date, -window.before_days, rules.calendar)
    return first <= other.date <= shifted(line.date, window.after_days, rules.calendar)


def _references(line: Line) -> set[str]:
    return {normalised(line.id), normalised(line.reference)} - {""}


class _Blocks:
    """External lines by currency and amount, sorted by date."""

    def __init__(self, external: list[Line], rules: Rules) -> None:
        self._window, self._calendar = rules.date_window, rules.calendar
        self.lines: defaultdict[tuple[str, int], list[Line]] = defaultdict(list)
        for line in sorted(external, key=lambda one: (one.date, one.place)):
            self.lines[line.currency, line.amount_minor].append(line)

    def range(self, line: Line, lines: list[Line]) -> tuple[int, int]:
        """The slice of these lines that is within the line's window; all where there is none."""
        if self._window is None:
            return 0, len(lines)
        first = shifted(line.date, -self._window.before_days, self._calendar)
        last = shifted(line.date, self._window.after_days, self._calendar)
        return bisect_left(lines, first, key=_date), bisect_right(lines, last, key=_date)

    def near(self, line: Line) -> list[Line]:
        """Same currency and amount, within the window; for no line of a block that is too big to compare."""
        lines = self.lines.get((line.currency, line.amount_minor), [])
        if len(lines) > CANDIDATES_MAX:
            return []
        first, last = self.range(line, lines)
        return lines[first:last]


def _date(line: Line) -> date:
    return line.date


def _unique(lines: list[Line], others: list[Line], blocks: _Blocks) -> list[Pair]:
    """Lines with one candidate that is no one else's: how often a candidate is meant is a sum over windows."""
    ranges = [blocks.range(line, others) for line in lines]
    changes = [0] * (len(others) + 1)
    for first, last in ranges:
        changes[first] += 1
        changes[last] -= 1
    meant = list(accumulate(changes))
    return [
        Pair(line, others[first], 100)
        for line, (first, last) in zip(lines, ranges, strict=True)
        if last - first == 1 and meant[first] == 1
    ]


def _only(internal: list[Line], candidates: Candidates) -> list[Pair]:
    """Pairs of which each is the other's only candidate."""
    meant: Counter[int] = Counter()
    single: list[Pair] = []
    for line in internal:
        found = list(candidates(line))
        meant.update(id(other) for other, _ in found)
        if len(found) == 1:
            single.append(Pair(line, *found[0]))
    return [pair for pair in single if meant[id(pair.external)] == 1]
