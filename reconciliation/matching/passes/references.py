"""References as people and banks write them → one form, in which equal ones are equal."""

import re
from functools import lru_cache
from typing import Final

SHORT: Final = 6
"""A shorter reference is found in too many texts to say anything."""

_NOT_WORD = re.compile(r"[^0-9A-Z]+")
_CREDITOR = re.compile(r"RF\d\d(?=[0-9A-Z]{1,21}$)")


@lru_cache(maxsize=65_536)
def normalised(text: str) -> str:
    """Capitals and digits alone, without leading zeros and without the check digits of ISO 11649 (RF18…)."""
    return _CREDITOR.sub("", _NOT_WORD.sub("", text.upper())).lstrip("0")


def alike(one: str, other: str) -> bool:
    """Both normalised: equal, or the one stands in the other."""
    if not one or not other:
        return False
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return len(short) >= SHORT and short in long
