"""Sanctions lists of any size with nobody on them: names of syllables and everyday words, equal for equal seeds.

Words repeat more than on real lists (60 given names, 400 family names), which makes it harder to tell names apart.
"""

import random
from collections.abc import Callable
from typing import Final

from payments.screening.entries import ListEntry, Source
from payments.screening.names import Schema

_SYLLABLES: Final = (
    *("ba", "bek", "bo", "chi", "da", "dar", "el", "far", "ga", "gor", "ha", "il", "jo", "ka", "khan", "kov", "la"),
    *("lin", "ma", "mir", "mo", "na", "nov", "or", "pet", "qu", "ra", "rash", "ri", "sa", "shan", "so", "ta", "tov"),
    *("u", "ulan", "va", "ver", "wi", "ya", "zen", "zo"),
)
_TRADES: Final = (
    *("Shipping", "Steel", "Petroleum", "Trading", "Bank", "Holding", "Energy", "Marine", "Metals", "Aviation"),
    *("Chemicals", "Textile", "Logistics", "Electronics", "Mining", "Construction", "Fisheries", "Pharma"),
)
_FORMS: Final = ("Ltd", "LLC", "GmbH", "JSC", "Inc", "S.A.", "Co., Ltd.", "")
_PERSONS_PERCENT: Final = 65


def made_up_entries(count: int, seed: int) -> list[ListEntry]:
    """So many entries, two thirds of them persons."""
    chance = random.Random(seed)
    given = [_word(chance, 2) for _ in range(60)]
    family = [_word(chance, chance.choice((2, 3, 3, 4))) for _ in range(400)]
    return [_entry(chance, str(at), given, family) for at in range(count)]


def _word(chance: random.Random, syllables: int) -> str:
    return "".join(chance.choices(_SYLLABLES, k=syllables)).capitalize()


def _entry(chance: random.Random, uid: str, given: list[str], family: list[str]) -> ListEntry:
    if chance.randrange(100) < _PERSONS_PERCENT:
        words = [*chance.sample(given, chance.choice((1, 1, 2, 2, 3))), chance.choice(family)]
        return ListEntry(Source.OFAC, uid, Schema.PERSON, " ".join(words))
    words = [chance.choice(family), *chance.sample(_TRADES, chance.choice((1, 2, 3))), chance.choice(_FORMS)]
    return ListEntry(Source.OFAC, uid, Schema.ORGANIZATION, " ".join(words).strip())


def disguised(name: str, chance: random.Random) -> str:
    """The name with one or two mistyped letters, at times in another order or with a word more."""
    for _ in range(chance.choice((0, 1, 1, 2))):
        name = chance.choice(_MISTAKES)(name, chance.randrange(1, len(name) - 1), chance)
    words = name.split()
    if chance.randrange(3) == 0:
        chance.shuffle(words)
    if chance.randrange(5) == 0:
        words.insert(chance.randrange(len(words) + 1), _word(chance, 2))
    return " ".join(words)


def _changed(name: str, at: int, chance: random.Random) -> str:
    return name[:at] + chance.choice("abdefgiklmnoprstuv") + name[at + 1 :]


def _left_out(name: str, at: int, _: random.Random) -> str:
    return name[:at] + name[at + 1 :]


def _swapped(name: str, at: int, _: random.Random) -> str:
    return name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :]


_MISTAKES: Final[tuple[Callable[[str, int, random.Random], str], ...]] = (_changed, _left_out, _swapped)
