"""A list's names arranged so that one name meets the few that may be it, not all 20,000.

Two stages: the names that share most pairs of letters (of sounds, weighted by how rare a pair is) are found with one
addition per shared pair; only those CANDIDATES are compared. What that loses against comparing with all names is
measured in docs/screening.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from payments.screening.comparison import Comparison, compare
from payments.screening.entries import ListEntry, Quality
from payments.screening.names import Name, Schema, read_name
from payments.screening.spelling import consonants_of

CANDIDATES: Final = 96
"""Names compared for one question: 96 × about 15 µs = 1.5 ms. More find hardly more (docs/screening.md)."""

_ACRONYM_LETTERS: Final = range(3, 9)
_RARITY_LEAST: Final = 3
"""Keys that more than a quarter of the names have are left out: half the work, and hardly any help."""


class Found(NamedTuple):
    """A listed name that is like the one asked for."""

    entry: ListEntry
    name: str
    quality: Quality
    comparison: Comparison


class _Listed(NamedTuple):
    entry: ListEntry
    quality: Quality
    name: Name


class NameIndex:
    """All names of some entries. Built once, then only read: safe to share between threads."""

    def __init__(self, entries: Iterable[ListEntry]) -> None:
        self._listed = [listed for entry in entries for listed in _listed_names(entry)]
        postings: defaultdict[str, list[int]] = defaultdict(list)
        for at, listed in enumerate(self._listed):
            for key in _keys(listed.name):
                postings[key].append(at)
        weights = {key: _rarity(len(at), len(self._listed)) for key, at in postings.items()}
        self._weights = {key: weight for key, weight in weights.items() if weight >= _RARITY_LEAST}
        self._postings = {key: np.array(postings[key], np.int32) for key in self._weights}
        totals = (sum(self._weights.get(key, 0) for key in _keys(listed.name)) for listed in self._listed)
        self._totals = np.fromiter(totals, np.int64, len(self._listed))

    def __len__(self) -> int:
        return len(self._listed)

    def search(
        self, text: str, schema: Schema | None, floor_permille: int, candidates: int = CANDIDATES
    ) -> list[Found]:
        """Every listed name that scores at least the floor, best first. `schema` None: any kind may be meant.

        Raises ValueError for a name that is longer than NAME_CHARACTERS_MAX.
        """
        as_organization = read_name(text, Schema.ORGANIZATION)
        may_be_person = schema in {None, Schema.PERSON}
        as_person = read_name(text, Schema.PERSON) if may_be_person else as_organization
        found = []
        for at in self._candidates(_keys(as_person) | _keys(as_organization), candidates):
            entry, quality, listed = self._listed[at]
            comparison = compare(as_person if listed.is_person else as_organization, listed)
            if comparison.score_permille >= floor_permille:
                found.append(Found(entry, listed.text, quality, comparison))
        return sorted(found, key=lambda one: (-one.comparison.score_permille, one.entry.key, one.name))

    def _candidates(self, keys: set[str], most: int) -> Sequence[int]:
        """The names that share most with these keys, for what either of the two has: one may be longer."""
        if len(self._listed) <= most:
            return range(len(self._listed))
        known = [key for key in keys if key in self._weights]
        if not known:
            return []
        at = np.concatenate([self._postings[key] for key in known])
        weights = np.repeat([self._weights[key] for key in known], [len(self._postings[key]) for key in known])
        shared = np.bincount(at, weights, len(self._listed))
        asked = sum(self._weights[key] for key in known)
        likeness = shared / np.minimum(np.maximum(self._totals, 1), asked)
        return [int(one) for one in np.argpartition(likeness, -most)[-most:]]


def _listed_names(entry: ListEntry) -> Iterator[_Listed]:
    for alias in entry.names():
        yield _Listed(entry, alias.quality, read_name(alias.text, entry.schema))


def _keys(name: Name) -> set[str]:
    """Pairs of letters of how each word sounds and of its consonants, each with the word's ends; acronyms."""
    keys = set()
    for one in name.words:
        keys |= _pairs(one.sound) | {f"~{pair}" for pair in _pairs(consonants_of(one.text))}
    if not name.is_person:
        keys |= {f"#{one.text}" for one in name.words if len(one.text) in _ACRONYM_LETTERS}
        if len(name.words) in _ACRONYM_LETTERS:
            keys.add("#" + "".join(one.text[0] for one in name.words))
    return keys


def _pairs(letters: str) -> set[str]:
    ended = f"^{letters}$"
    return {ended[at : at + 2] for at in range(len(ended) - 1)}


def _rarity(holders: int, names: int) -> int:
    """How much it says that a name has this key: one bit for each halving of the names that have it."""
    return max(1, (names // holders).bit_length())
