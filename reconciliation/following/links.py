"""By what lines could ever be compared: two lines that share none of these, directly or through others, never meet.

Pure. The passes of the cascade decide what stands here; the property test of this package compares both.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple

from reconciliation.matching.lines import Line
from reconciliation.matching.passes.references import normalised
from reconciliation.matching.rules import Rules


class Told(NamedTuple):
    """A line of one side."""

    internal: bool
    line: Line

    @property
    def name(self) -> tuple[bool, str, int]:
        """Which line it is: its side and its place."""
        return self.internal, *self.line.place


def of_identity(told: Told) -> Iterator[Hashable]:
    """P0 and P1: the source's own number within its side, the id on both."""
    line = told.line
    if line.entry:
        yield "entry", told.internal, line.account, line.entry
    if line.id:
        yield "id", line.id


def of_comparison(told: Told, rules: Rules) -> Iterator[Hashable]:
    """P2 to P7: amounts, references and declared keys; with a tolerance of amounts, the whole currency."""
    line, tolerance = told.line, rules.tolerance
    if tolerance is not None and (tolerance.amount_minor or tolerance.basis_points):
        yield "currency", line.currency
    yield "amount", line.currency, line.amount_minor
    if line.id:
        yield "id", line.id
    if reference := normalised(line.reference or line.id):
        yield "reference", reference
    for index, value in enumerate(line.keys):
        if value:
            yield "key", index, value, line.currency


def day_of(told: Told) -> Hashable:
    """By what a control finds the lines that its file may lack."""
    return "day", told.internal, told.line.account, told.line.currency, told.line.date


class Links:
    """Lines by what they share; lines may go again."""

    def __init__(self) -> None:
        self._of: dict[Hashable, dict[tuple[bool, str, int], Told]] = {}

    def add(self, told: Told, keys: Iterable[Hashable]) -> None:
        """A line with all that it may share."""
        for key in keys:
            self._of.setdefault(key, {})[told.name] = told

    def remove(self, told: Told, keys: Iterable[Hashable]) -> None:
        """It is compared no more."""
        for key in keys:
            sharing = self._of[key]
            del sharing[told.name]
            if not sharing:
                del self._of[key]

    def sharing(self, key: Hashable) -> dict[tuple[bool, str, int], Told]:
        """The lines that share this."""
        return self._of.get(key, {})

    def reached(self, seed: Told, keys: Callable[[Told], Iterable[Hashable]]) -> dict[tuple[bool, str, int], Told]:
        """The lines that share something with this one, or with one that does, and so on; it is among them."""
        members, waiting, seen = {seed.name: seed}, [seed], set[Hashable]()
        while waiting:
            for key in keys(waiting.pop()):
                if key in seen:
                    continue
                seen.add(key)
                for name, other in self.sharing(key).items():
                    if name not in members:
                        members[name] = other
                        waiting.append(other)
        return members
