"""One spelling for many: any script to ASCII words, a word to how it sounds, a sound to its consonants.

Transliteration is anyascii's (one table for all scripts, close to each one's official romanisation). Sounds are few
rules of spelling that European and Asian romanisations share, not the phonetics of one language: Soundex and Metaphone
were made for English surnames and call Putin and Bowden alike.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

from anyascii import anyascii

_APOSTROPHES: Final = re.compile("['`’‘ʿʾ´\"ʻʼ″“”«»]")
_ARABIC_ARTICLE: Final = re.compile(r"\bال(?=\w{2})")
_SYLLABLE: Final = re.compile("(?<=[a-z])(?=[A-Z])")
_IDEOGRAPH: Final = re.compile("[㐀-鿿가-힣]")
_HANGUL: Final = re.compile("[가-힣]")
_AS_ON_LISTS: Final = re.compile("[Ee][ou]|^[GDB]")
_KOREAN: Final = {"eo": "o", "Eo": "O", "eu": "u", "Eu": "U", "G": "K", "D": "T", "B": "P"}
"""Revised romanisation (`Gim Jeong`) → McCune-Reischauer without its marks, as lists write names (`Kim Jong`)."""

_LOOSELY_VOWELLED: Final = re.compile("[\u0590-\u109f\u1780-\u17ff\u3040-\u30ff]")
"""Hebrew, Arabic and Syriac; the Indic scripts, Thai to Burmese and Khmer (each consonant has an `a` in it); kana."""

_SOUNDS: Final = {
    written: sound
    for sound, spellings in {
        "sh": ("shch", "sch", "sz"),
        "ch": ("tsch", "tch", "cz"),
        "ts": ("tz",),
        "j": ("dzh", "dj", "zh"),
        "h": ("kh",),
        "f": ("ph",),
        "g": ("gh",),
        "t": ("th",),
        "d": ("dh",),
        "k": ("ck", "q", "c"),
        "ks": ("x",),
        "v": ("w",),
        "s": ("z",),
        "u": ("oo", "ou"),
        "i": ("yj", "iy", "ij", "ee", "y", "j"),
    }.items()
    for written in spellings
}
"""Letters → sound. `c` is soft before e, i and y; `j` is a vowel only behind one (`Sergej`)."""

_ONLY_THERE: Final = {"c": "c(?!h)", "j": "(?<=[aeiouy])j(?![aeiouy])"}
_SOFTENING: Final = frozenset("eiy")
_LONGEST_FIRST: Final = sorted(_SOUNDS, key=len, reverse=True)
_SOUND: Final = re.compile("|".join(_ONLY_THERE.get(written, written) for written in _LONGEST_FIRST))
_DOUBLED: Final = re.compile(r"(.)\1+")
_VOWELS: Final = str.maketrans("", "", "aeiou")
_FIRST_VOWEL: Final = str.maketrans("eiou", "aaaa")
_WRITTEN_VOWELS: Final = str.maketrans("", "", "aeiouwy")
_LIKE_ARABIC: Final = str.maketrans("pvg", "bfj")

WORDS_REMEMBERED: Final = 262_144
"""A list of 20,000 entries has about 40,000 different words; 262,144 × about 400 bytes = 100 MB at the most."""


class Word(NamedTuple):
    """One word in the forms in which it is compared."""

    text: str
    sound: str
    skeleton: str
    """The sound without its vowels but for a first one, which is written `a`."""


def ideographs_of(text: str) -> str:
    """A name of nothing but Han characters or Hangul syllables, without spaces; else nothing.

    Each of them is a whole syllable, so one that differs makes another name.
    """
    if not _IDEOGRAPH.search(text):
        return ""
    letters = [character for character in unicodedata.normalize("NFKC", text) if character.isalnum()]
    return "".join(letters) if all(map(_IDEOGRAPH.match, letters)) else ""


def is_loosely_vowelled(text: str) -> bool:
    """True where its script leaves vowels out or puts some in."""
    return _LOOSELY_VOWELLED.search(text) is not None


def latin(text: str) -> str:
    """Lower-case ASCII; syllables of ideographs apart, apostrophes (also ayin and hamza) gone."""
    if text.isascii():
        return _APOSTROPHES.sub("", text).lower()
    plain = _ARABIC_ARTICLE.sub("ال ", unicodedata.normalize("NFKC", text))
    romanised = anyascii(plain)
    if _HANGUL.search(plain):
        romanised = _AS_ON_LISTS.sub(lambda found: _KOREAN[found[0]], romanised)
    if _IDEOGRAPH.search(plain):
        romanised = _SYLLABLE.sub(" ", romanised)
    return _APOSTROPHES.sub("", romanised).lower()


@lru_cache(maxsize=WORDS_REMEMBERED)
def word(text: str) -> Word:
    """The word in all its forms."""
    sound = sound_of(text)
    return Word(text, sound, sound[:1].translate(_FIRST_VOWEL) + sound[1:].translate(_VOWELS))


@lru_cache(maxsize=WORDS_REMEMBERED)
def consonants_of(text: str) -> str:
    """For comparing with a script that leaves vowels out or adds some."""
    return sound_of(text.translate(_WRITTEN_VOWELS)).translate(_VOWELS).translate(_LIKE_ARABIC)


def sound_of(text: str) -> str:
    """The word in one spelling: `Schulze` → `shulse`, `Wolodymyr` → `volodimir`."""
    return _DOUBLED.sub(r"\1", _SOUND.sub(_spoken, text))


def _spoken(written: re.Match[str]) -> str:
    letters = written[0]
    return (
        "s" if letters == "c" and written.string[written.end() : written.end() + 1] in _SOFTENING else _SOUNDS[letters]
    )
