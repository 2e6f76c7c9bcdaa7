"""How much of the evaluation is owed to weights that were chosen on the same pairs.

For each fold the weights are chosen anew on the other folds, from a start that knows nothing, and judged on the fold.
Pairs that share a name stay in one fold, or the judge would know what was learned.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from statistics import mean, stdev
from typing import Final

import msgspec

from payments.screening.comparison import WEIGHTS, Weights, compare
from payments.screening.decisions import DEFAULT_THRESHOLDS
from payments.screening.names import Name, read_name
from screening.evaluation import Pair, Scored, quality

FOLDS: Final = 5
SHUFFLES: Final = 5
CHOICES: Final = (25, 50, 75, 100, 150, 200, 300, 400)
"""Weights that are tried, in permille. The threshold stays: multiplying all weights is moving it."""

START: Final = Weights(*[150] * len(WEIGHTS))
ROUNDS: Final = 2

Labelled = tuple[Name, Name, bool]


class CrossValidation(msgspec.Struct):
    """F1 of folds that nothing was chosen on."""

    folds: int
    shuffles: int
    f1_mean: float
    f1_sd: float
    f1_least: float
    weights_chosen: dict[str, dict[str, int]]
    """Weight → value → how many folds chose it."""


def cross_validate(pairs: Sequence[Pair], on_fold: Callable[[int], None]) -> CrossValidation:
    """Repeated grouped k-fold cross-validation; calls `on_fold` with 1 after each fold."""
    labelled = [(read_name(one.name1, one.schema), read_name(one.name2, one.schema), one.is_match) for one in pairs]
    f1s: list[float] = []
    chosen: dict[str, defaultdict[str, int]] = {name: defaultdict(int) for name in Weights._fields}
    for fold, rest in _folds([[labelled[at] for at in group] for group in groups_sharing_a_name(labelled)]):
        weights = choose_weights(rest)
        f1s.append(f1_with(weights, fold))
        for name, permille in weights._asdict().items():
            chosen[name][str(permille)] += 1
        on_fold(1)
    counted = {name: dict(sorted(values.items())) for name, values in chosen.items()}
    return CrossValidation(FOLDS, SHUFFLES, round(mean(f1s), 4), round(stdev(f1s), 4), min(f1s), counted)


def _folds(groups: list[list[Labelled]]) -> Iterator[tuple[list[Labelled], list[Labelled]]]:
    for shuffle in range(SHUFFLES):
        random.Random(shuffle).shuffle(groups)
        for fold in range(FOLDS):
            rest = chain.from_iterable(groups[other::FOLDS] for other in range(FOLDS) if other != fold)
            yield list(chain.from_iterable(groups[fold::FOLDS])), list(chain.from_iterable(rest))


def choose_weights(labelled: Sequence[Labelled]) -> Weights:
    """One weight after the other, the value with the best F1; among equals the middle one."""
    weights = START
    for name in Weights._fields * ROUNDS:
        f1s = {choice: f1_with(weights._replace(**{name: choice}), labelled) for choice in CHOICES}
        best = [choice for choice in CHOICES if f1s[choice] == max(f1s.values())]
        weights = weights._replace(**{name: best[len(best) // 2]})
    return weights


def f1_with(weights: Weights, labelled: Sequence[Labelled]) -> float:
    """F1 at the threshold for a possible match."""
    scored = (Scored(compare(left, right, weights).score_permille, is_match) for left, right, is_match in labelled)
    return quality(scored, DEFAULT_THRESHOLDS.possible)[2]


def groups_sharing_a_name(labelled: Sequence[Labelled]) -> list[list[int]]:
    """Positions of pairs, together where a chain of equal names (words in any order) connects them."""
    leader = list(range(len(labelled)))

    def leader_of(at: int) -> int:
        while leader[at] != at:
            at = leader[at] = leader[leader[at]]
        return at

    first_with: dict[frozenset[str], int] = {}
    for at, (left, right, _) in enumerate(labelled):
        for name in (left, right):
            known = first_with.setdefault(frozenset(word.sound for word in name.words), at)
            leader[leader_of(at)] = leader_of(known)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for at in range(len(labelled)):
        groups[leader_of(at)].append(at)
    return list(groups.values())
