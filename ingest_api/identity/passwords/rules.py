"""Which passwords are taken: NIST SP 800-63B-4 §3.1.1. Length and what everybody tries first, no rules of composition.

Passwords are compared in NFKC, so that every keyboard makes the same one.
"""

import re
import unicodedata
from collections.abc import Iterable
from importlib.resources import files
from itertools import pairwise
from typing import Final

from runtime.personal_data.personal import Personal

CHARS_MIN: Final = 12
CHARS_MAX: Final = 256
"""NIST asks for 64 at least. A bound, so that nobody has megabytes hashed."""

_DISTINCT_MIN: Final = 5
_RUN: Final = 4
"""Characters in a row that follow each other (abcd, 4321), or repeat, count as one."""

_WORD = re.compile(r"[^\W_]+")
_NO_LETTERS = re.compile(r"[\W\d_]+")
_ENDS = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_LEET = str.maketrans("013457@$!", "oleasbasi")  # what people write instead of letters
_COMMON: Final = frozenset(
    line
    for line in files(__package__).joinpath("common.txt").read_text("ascii").splitlines()
    if not line.startswith("#")
)


def normal_password(text: Personal) -> Personal:
    """The one spelling of a password, to hash and to compare."""
    return Personal(unicodedata.normalize("NFKC", text.reveal()))


def password_fault(password: Personal, about: Iterable[Personal]) -> str | None:
    """What to do instead, or None where the password is taken. `about`: what is known of the user."""
    text = normal_password(password).reveal()
    if not CHARS_MIN <= len(text) <= CHARS_MAX:
        return f"A password has {CHARS_MIN} to {CHARS_MAX} characters."
    folded = text.casefold()
    if _is_common(folded) or len(set(_without_runs(folded))) < _DISTINCT_MIN:
        return "This password is among the first that are tried. Take several words that do not belong together."
    if any(_holds(folded, value.reveal()) for value in about):
        return "The password holds your user name or another thing that is known of you. Leave that out."
    return None


def _is_common(folded: str) -> bool:
    """A common word is not made better by digits and punctuation around it, nor by writing it twice."""
    inner = _ENDS.sub("", folded)
    words = {_NO_LETTERS.sub("", inner), _NO_LETTERS.sub("", inner.translate(_LEET))}
    return any(word in _COMMON or _unrepeated(word) in _COMMON for word in words)


def _unrepeated(word: str) -> str:
    period = (word + word).find(word, 1)
    return word[:period] if period > 0 else word


def _without_runs(text: str) -> str:
    """One character of each run: `abcd1111` is as good as `a1`."""
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    kept = [
        character
        for at, character in enumerate(text)
        if at < 1 or steps[at - 1] not in {-1, 0, 1} or (at > 1 and steps[at - 1] != steps[at - 2])
    ]
    return "".join(kept)


def _holds(folded: str, value: str) -> bool:
    """Any word of it, and the whole: `Berta Rumpelstilz` is known by either name."""
    part = value.casefold().partition("@")[0]
    return any(len(word) >= _RUN and word in folded for word in (part, *_WORD.findall(part)))
