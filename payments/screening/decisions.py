"""What follows from a score: a match, a possible match for an analyst, or clear; and what an analyst cleared for good.

A cleared pair (subject, entry) stays cleared until either one's content changes. Content is compared by fingerprint, so
that nobody has to keep a subject's name for it.
"""

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from payments.screening.entries import EntryKey, Quality
from payments.screening.index import Found, NameIndex
from payments.screening.names import Schema


class Verdict(StrEnum):
    """What a score means."""

    MATCH = "match"
    POSSIBLE = "possible"
    CLEAR = "clear"


class Thresholds(NamedTuple):
    """The least scores, in permille. How they were chosen: docs/screening.md."""

    match: int = 900
    possible: int = 750


DEFAULT_THRESHOLDS = Thresholds()


class Subject(NamedTuple):
    """Somebody to be screened: a user, a payee, the holder of a linked account. `schema` None: it is not known."""

    id: str
    names: tuple[str, ...]
    schema: Schema | None = None

    def fingerprint(self, key: bytes) -> bytes:
        """Keyed BLAKE2b over names and schema. The key, of at most 64 bytes, keeps names from being guessed from it."""
        digest = hashlib.blake2b(key=key, digest_size=32)
        for text in (self.schema or "", *sorted(self.names)):
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return digest.digest()


class GoodGuy(NamedTuple):
    """A pair that an analyst cleared, as both were then."""

    subject_id: str
    subject_fingerprint: bytes
    entry: EntryKey
    entry_fingerprint: bytes


class Hit(NamedTuple):
    """An entry that a subject may be."""

    verdict: Verdict
    found: Found


def verdict_of(score_permille: int, quality: Quality, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> Verdict:
    """A weak alias makes no match, and a possible one only by what would else be a match (OFAC's FAQ 122)."""
    if score_permille >= thresholds.match:
        return Verdict.POSSIBLE if quality is Quality.WEAK else Verdict.MATCH
    return Verdict.POSSIBLE if score_permille >= thresholds.possible and quality is not Quality.WEAK else Verdict.CLEAR


def screen(index: NameIndex, subject: Subject, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> list[Hit]:
    """Every entry that is not clear, by its best name, best first. Raises ValueError for a name that is too long."""
    best: dict[EntryKey, Hit] = {}
    for name in subject.names:
        for found in index.search(name, subject.schema, thresholds.possible):
            hit = Hit(verdict_of(found.comparison.score_permille, found.quality, thresholds), found)
            known = best.get(found.entry.key)
            if hit.verdict is not Verdict.CLEAR and (known is None or _strength(known) < _strength(hit)):
                best[found.entry.key] = hit
    by_key = sorted(best.values(), key=lambda hit: hit.found.entry.key)
    return sorted(by_key, key=_strength, reverse=True)


def _strength(hit: Hit) -> tuple[bool, int]:
    """A match by a strong name stands before a better score of a weak one."""
    return hit.verdict is Verdict.MATCH, hit.found.comparison.score_permille


def not_cleared(
    hits: Iterable[Hit], subject_id: str, subject_fingerprint: bytes, good_guys: frozenset[GoodGuy]
) -> list[Hit]:
    """The hits that no analyst has cleared for this subject and entry as they are now."""
    return [
        hit
        for hit in hits
        if GoodGuy(subject_id, subject_fingerprint, hit.found.entry.key, hit.found.entry.fingerprint()) not in good_guys
    ]
