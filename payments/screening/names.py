"""A name as it is compared: the words that carry it, without what is written or left out at will.

A person's particles and titles go; an organisation's legal form is set apart, its numbers become digits. Word order is
kept, for explanations and for words that were split; it weighs nothing.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from payments.screening.spelling import Word, ideographs_of, is_loosely_vowelled, latin, word
from payments.screening.vocabulary import (
    CONNECTIVES,
    LEGAL_FORM_LENGTHS,
    LEGAL_FORMS,
    NATIVE_LEGAL_FORMS,
    NUMBER_WORDS,
    PARTICLES,
    ROMAN_NUMBERS,
    SERVANT_OF,
    SPELLINGS,
    TENS,
    TITLES,
)

NAME_CHARACTERS_MAX: Final = 500
"""The longest name on the lists has about 300; comparing costs the product of the lengths."""

_WORD: Final = re.compile("[a-z0-9]+")
_ABBREVIATION: Final = re.compile(r"\b(\w)\.(?=\w\b)")
_ORDINAL: Final = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b")
_DIGITS_FOR_LETTERS: Final = str.maketrans("0134579", "oieastg")


class Schema(StrEnum):
    """What a name is the name of; an organisation's rules hold where it is not known."""

    PERSON = "person"
    ORGANIZATION = "organization"
    VESSEL = "vessel"
    AIRCRAFT = "aircraft"


class Name(NamedTuple):
    """A name taken apart."""

    text: str
    is_person: bool
    words: tuple[Word, ...]
    whole: str
    """All words as one."""
    legal_forms: frozenset[str]
    ideographs: str
    is_loosely_vowelled: bool


def read_name(text: str, schema: Schema) -> Name:
    """Take a name apart. Raises ValueError where it is longer than NAME_CHARACTERS_MAX."""
    if len(text) > NAME_CHARACTERS_MAX:
        raise ValueError(f"a name has at most {NAME_CHARACTERS_MAX} characters, this one has {len(text)}")
    is_person = schema is Schema.PERSON
    legal_forms: frozenset[str] = frozenset()
    if is_person:
        native, words = text, _person_words(latin(text))
    else:
        native, native_forms = _without_native_forms(text)
        words, legal_forms = _organization_words(latin(native))
        legal_forms |= native_forms
    return Name(
        text,
        is_person,
        tuple(map(word, words)),
        "".join(words),
        legal_forms,
        ideographs_of(native),
        is_loosely_vowelled(text),
    )


def _person_words(text: str) -> list[str]:
    found = [_letters(one) for one in _WORD.findall(text)]
    said = [SERVANT_OF.get(one, one) for one in found]
    carrying = [one for one in said if one not in PARTICLES and one not in TITLES]
    return carrying or said


def _letters(text: str) -> str:
    """`sech1n` → `sechin`: a digit in the place of the letter that it looks like."""
    return text.translate(_DIGITS_FOR_LETTERS) if sum(map(str.isalpha, text)) > 1 else text


def _organization_words(text: str) -> tuple[list[str], frozenset[str]]:
    text = _ORDINAL.sub(r"\1", _ABBREVIATION.sub(r"\1", text.replace("&", " and ")))
    spelled = [part for one in _WORD.findall(text) for part in SPELLINGS.get(one, one).split()]
    kept, forms = _without_legal_forms(list(_initials_joined(spelled)))
    carrying = [one for one in kept if one not in CONNECTIVES]
    return list(_with_digits(carrying or kept or spelled)), forms


def _initials_joined(words: Iterable[str]) -> Iterator[str]:
    """`s c johnson` → `sc johnson`."""
    run = ""
    for one in words:
        if len(one) == 1 and one.isalpha():
            run += one
            continue
        if run:
            yield run
            run = ""
        yield one
    if run:
        yield run


def _without_legal_forms(words: list[str]) -> tuple[list[str], frozenset[str]]:
    kept, forms, at = [], set(), 0
    while at < len(words):
        for length in LEGAL_FORM_LENGTHS.get(words[at], ()):
            form = LEGAL_FORMS.get(tuple(words[at : at + length]))
            if form is not None:
                forms.add(form)
                at += length
                break
        else:
            kept.append(words[at])
            at += 1
    return kept, frozenset(forms)


def _without_native_forms(text: str) -> tuple[str, frozenset[str]]:
    forms = set()
    for native, form in NATIVE_LEGAL_FORMS.items():
        if native in text:
            text = text.replace(native, " ")
            forms.add(form)
    return text, frozenset(forms)


def _with_digits(words: Iterable[str]) -> Iterator[str]:
    """`first` → `1`, `forty four` → `44`, `victory iii` → `victory 3`. A Roman number is never the first word."""
    tens = 0
    for at, one in enumerate(words):
        value = int(one) if one.isdecimal() else NUMBER_WORDS.get(one, ROMAN_NUMBERS.get(one) if at else None)
        if tens and value is not None and value < 10:
            yield str(tens + value)
            tens = 0
            continue
        if tens:
            yield str(tens)
        tens = value if value in TENS and not one.isdecimal() else 0
        if not tens:
            yield str(value) if value is not None else one
    if tens:
        yield str(tens)
