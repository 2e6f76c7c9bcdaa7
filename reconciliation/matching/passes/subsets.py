"""Pass P8: which of these amounts add up to that one? Only an answer that is the only one is worth a look.

Amounts are positive integers of minor units; what is reachable is one big integer whose bit n says "n can be reached",
so adding an amount is one shift. Cost: amounts × target / 64 word operations, hence the two bounds.
"""

from collections.abc import Sequence
from typing import Final

AMOUNTS_MAX: Final = 64
TARGET_MAX_MINOR: Final = 2_000_000
"""Bits of one row: 250 kB; 64 rows are kept to find the way back: 16 MB. Ten times as much takes a second an answer."""


def only_subset(amounts: Sequence[int], target: int) -> tuple[int, ...] | None:
    """Indexes of the one subset that adds up to the target; None: none does, another does too, or it costs too much."""
    candidates = [index for index, amount in enumerate(amounts) if 0 < amount <= target]
    if not 0 < target <= TARGET_MAX_MINOR or len(candidates) > AMOUNTS_MAX:
        return None
    found = _subset([amounts[index] for index in candidates], target)
    if found is None or _another(amounts, candidates, {candidates[at] for at in found}, target):
        return None
    return tuple(candidates[at] for at in found)


def _subset(amounts: Sequence[int], target: int) -> list[int] | None:
    within = (1 << target + 1) - 1
    rows = [1]
    for amount in amounts:
        rows.append((rows[-1] | rows[-1] << amount) & within)
    if not rows[-1] >> target & 1:
        return None
    taken, rest = [], target
    for at in range(len(amounts) - 1, -1, -1):
        if not rows[at] >> rest & 1:
            taken.append(at)
            rest -= amounts[at]
    return taken[::-1]


def _another(amounts: Sequence[int], candidates: Sequence[int], first: set[int], target: int) -> bool:
    """A second subset can't contain the first (amounts are positive), so it lacks one of its members."""
    return any(_reachable([amounts[one] for one in candidates if one != left_out], target) for left_out in first)


def _reachable(amounts: Sequence[int], target: int) -> bool:
    within, reached = (1 << target + 1) - 1, 1
    for amount in amounts:
        reached = (reached | reached << amount) & within
    return bool(reached >> target & 1)
