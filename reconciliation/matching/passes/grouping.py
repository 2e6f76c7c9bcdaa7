"""Passes P4 and P5: many lines of one side are one of the other, or several: payouts, batches, deposits, days.

The key is declared, never guessed. Sums of amounts must be equal; where both sides tell gross and fees, those too.
A group that does not add up is left for other passes, and is called unbalanced when they find nothing either.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reconciliation.matching.breaks import BreakType
from reconciliation.matching.comparing import Found, Lines, settle
from reconciliation.matching.lines import Line, shown, total_minor
from reconciliation.matching.results import Break
from reconciliation.matching.rules import Pass, Rules


class Group(NamedTuple):
    """Lines of both sides with one value of a key, in one currency."""

    name: str
    value: str
    internal: Lines
    external: Lines


def grouped(index: int, internal: Iterable[Line], external: Iterable[Line], rules: Rules) -> Iterator[Group]:
    """Values of one key that both sides have, in order."""
    sides: tuple[defaultdict[tuple[str, str], list[Line]], ...] = (defaultdict(list), defaultdict(list))
    for side, lines in zip(sides, (internal, external), strict=True):
        for line in lines:
            if index < len(line.keys) and line.keys[index]:
                side[line.keys[index], line.currency].append(line)
    for key in sorted(sides[0].keys() & sides[1].keys()):
        yield Group(rules.group_by[index], key[0], tuple(sides[0][key]), tuple(sides[1][key]))


def by_groups(index: int, internal: list[Line], external: list[Line], rules: Rules) -> Found:
    """Groups whose sums agree: matches, and breaks where their fees do not."""
    matches, breaks = [], []
    for group in grouped(index, internal, external, rules):
        if total_minor(group.internal) != total_minor(group.external):
            continue
        more_matches, more_breaks = settle(
            f"{Pass.GROUPS}:{group.name}", {group.name: group.value}, group.internal, group.external, rules
        )
        matches += more_matches
        breaks += more_breaks
    return matches, breaks


def unbalanced(index: int, internal: list[Line], external: list[Line], rules: Rules) -> Found:
    """Groups of which nothing was found: a fee of the whole batch is told apart, the rest does not add up."""
    matches, breaks = [], []
    for group in grouped(index, internal, external, rules):
        more_matches, more_breaks = _explained(group, rules)
        matches += more_matches
        breaks += more_breaks
    return matches, breaks


def _explained(group: Group, rules: Rules) -> Found:
    keys = {group.name: group.value}
    difference = total_minor(group.internal) - total_minor(group.external)
    orphans = tuple(line for line in group.external if line.type in rules.fee_types)
    if orphans and difference == -total_minor(orphans):
        rest = tuple(line for line in group.external if line.type not in rules.fee_types)
        matches, breaks = settle(f"{Pass.GROUPS}:{group.name}", keys, group.internal, rest, rules) if rest else ([], [])
        fee = Break(
            BreakType.ORPHAN_FEE,
            "a fee of the whole batch, which no line of the books carries",
            keys,
            difference,
            orphans[0].currency,
            () if rest else group.internal,
            orphans,
        )
        return matches, [*breaks, fee]
    currency = group.internal[0].currency
    reason = f"{shown(total_minor(group.internal), currency)} against {shown(total_minor(group.external), currency)}"
    return [], [Break(BreakType.UNBALANCED_BATCH, reason, keys, difference, currency, group.internal, group.external)]
