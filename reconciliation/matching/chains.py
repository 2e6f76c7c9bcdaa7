"""Order ↔ provider's line ↔ payout ↔ bank line: several matches one behind the other, and how far each order came.

A leg compares two neighbouring sources by rules of its own; its right side is the next leg's left side, so a line is
followed through all of them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reconciliation.matching.cascade import match
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Outcome
from reconciliation.matching.rules import Rules


class Leg(NamedTuple):
    """Two sources by name, and how they are compared."""

    left: str
    right: str
    rules: Rules


class Way(NamedTuple):
    """A line of the first source and the sources that know it, up to the first that does not."""

    line: Line
    reached: tuple[str, ...]


class Chain(NamedTuple):
    """The outcome of each leg, and the way of each line of the first source."""

    outcomes: tuple[Outcome[Line], ...]
    ways: tuple[Way, ...]


def follow(legs: Sequence[Leg], sources: Mapping[str, Sequence[Line]]) -> Chain:
    """Match each leg and join them. The legs must follow each other: left, right = left of the next."""
    outcomes = tuple(match(sources[leg.left], sources[leg.right], leg.rules) for leg in legs)
    onward = [_onward(outcome) for outcome in outcomes]
    return Chain(outcomes, tuple(_way(line, legs, onward) for line in sources[legs[0].left]))


def _onward(outcome: Outcome[Line]) -> dict[int, tuple[Line, ...]]:
    return {id(line): one.external for one in outcome.matches for line in one.internal}


def _way(line: Line, legs: Sequence[Leg], onward: Sequence[dict[int, tuple[Line, ...]]]) -> Way:
    """A line goes on when every line that it became goes on."""
    reached = [legs[0].left]
    lines: tuple[Line, ...] = (line,)
    for leg, following in zip(legs, onward, strict=True):
        if not all(id(one) in following for one in lines):
            break
        lines = tuple({id(other): other for one in lines for other in following[id(one)]}.values())
        reached.append(leg.right)
    return Way(line, tuple(reached))
