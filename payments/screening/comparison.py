"""How alike two names are, in permille, and why: 1000 less what each difference costs.

The score is a sum because an analyst can follow one: every deduction names its words. Edits are counted in halves, one
for how the words sound and one for their consonants, so that a vowel costs half as much as a consonant. The figures
behind WEIGHTS: docs/screening.md.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from rapidfuzz.distance import OSA, Levenshtein

from payments.screening.names import Name
from payments.screening.spelling import Word, consonants_of, latin, word

SCORE_MAX: Final = 1000


class Difference(StrEnum):
    """What lowers a score."""

    SPELLING = "spelling"
    INITIAL = "initial"
    ACRONYM = "acronym"
    NUMBER = "number"
    EXTRA_WORD = "extra_word"
    EXTRA_NUMBER = "extra_number"
    OTHER_WORD = "other_word"
    ONE_WORD_ONLY = "one_word_only"
    INITIALS_ONLY = "initials_only"
    LEGAL_FORM = "legal_form"
    IDEOGRAPH = "ideograph"
    NOTHING_IN_COMMON = "nothing_in_common"


class Weights(NamedTuple):
    """What each difference costs, in permille."""

    half_edit: int = 75
    initial: int = 60
    acronym: int = 150
    extra_word_of_person: int = 50
    extra_word: int = 300
    """Of an organisation or a vessel: an extra word names another branch, fund or ship."""
    extra_number: int = 150
    other_word: int = 300
    """Each side has a word that the other one has not."""
    one_word_only: int = 150
    """A person's single name against a full one."""
    initials_only: int = 300
    legal_form: int = 300
    ideograph: int = 300
    ideograph_of_same_sound: int = 150
    """The traditional and the simplified form of a character, or a homophone."""


WEIGHTS: Final = Weights()
WHOLE_NAME_HALF_EDITS_MAX: Final = 4
ACRONYM_LETTERS: Final = {True: (2, 4), False: (3, 8)}
"""Is it a person's? → fewest and most letters that are read as initials."""


class Deduction(NamedTuple):
    """One difference: the words on either side, and its cost in permille."""

    difference: Difference
    left: str
    right: str
    permille: int


class Comparison(NamedTuple):
    """A score from 0 to 1000 with its reasons; words that are equal stand in `matched` and cost nothing."""

    score_permille: int
    matched: tuple[tuple[str, str], ...]
    deductions: tuple[Deduction, ...]


class _Aligned(NamedTuple):
    pairs: list[tuple[Word, Word, int]]
    left_over: list[Word]
    right_over: list[Word]


def compare(left: Name, right: Name, weights: Weights = WEIGHTS) -> Comparison:
    """Both names under the rules of a person only where both are read as a person's. Symmetric."""
    if left.ideographs and right.ideographs:
        return _compare_ideographs(left, right, weights)
    is_person = left.is_person and right.is_person
    is_bare = left.is_loosely_vowelled != right.is_loosely_vowelled
    left_words, right_words = _rejoined(left.words, right.words), _rejoined(right.words, left.words)
    aligned = _align(left_words, right_words, is_person=is_person, is_bare=is_bare)
    found = _word_deductions(aligned, weights, is_person=is_person, is_bare=is_bare)
    if found and (is_person or len(left_words) != len(right_words)):
        found = _cheaper(found, _whole_name_deductions(left, right, weights, is_bare=is_bare))
    if left.legal_forms and right.legal_forms and left.legal_forms.isdisjoint(right.legal_forms):
        form, other_form = (" ".join(sorted(name.legal_forms)) for name in (left, right))
        found = [*found, Deduction(Difference.LEGAL_FORM, form, other_form, weights.legal_form)]
    matched = tuple((one.text, other.text) for one, other, _ in aligned.pairs)
    return Comparison(max(0, SCORE_MAX - _cost(found)), matched, tuple(found))


def _cost(deductions: Iterable[Deduction]) -> int:
    return sum(deduction.permille for deduction in deductions)


def _cheaper(one: list[Deduction], other: list[Deduction] | None) -> list[Deduction]:
    return one if other is None or _cost(one) <= _cost(other) else other


def _rejoined(words: Sequence[Word], others: Sequence[Word]) -> Sequence[Word]:
    """`patr ushev` → `patrushev` where the other name has it, and has neither part."""
    known = {other.text for other in others}
    for at, (one, other) in enumerate(pairwise(words)):
        together = one.text + other.text
        if together in known and one.text not in known and other.text not in known:
            return [*words[:at], word(together), *_rejoined(words[at + 2 :], others)]
    return words


def half_edits(left: Word, right: Word, *, is_bare: bool) -> int:
    """The distance of two words in half edits; a transposition is one edit. `is_bare`: by consonants alone.

    Never more than their letters differ by: one mistyped letter of `ch` changes the sound of both.
    """
    if left.text == right.text:
        return 0
    if is_bare:
        return OSA.distance(consonants_of(left.text), consonants_of(right.text))
    halves = OSA.distance(left.sound, right.sound) + OSA.distance(left.skeleton, right.skeleton)
    return halves if halves <= 2 else min(halves, 2 * OSA.distance(left.text, right.text))


def _align(left: Sequence[Word], right: Sequence[Word], *, is_person: bool, is_bare: bool) -> _Aligned:
    """Equal words first, then the closest ones. Ties are broken by the words themselves, never by their order."""
    pairs, left_free, right_free = [], [], list(right)
    for one in left:
        if one in right_free:
            right_free.remove(one)
            pairs.append((one, one, 0))
        else:
            left_free.append(one)
    for one, other, halves in _closest_first(left_free, right_free, is_person=is_person, is_bare=is_bare):
        if one in left_free and other in right_free:
            left_free.remove(one)
            right_free.remove(other)
            pairs.append((one, other, halves))
    return _Aligned(pairs, left_free, right_free)


def _closest_first(
    left: Sequence[Word], right: Sequence[Word], *, is_person: bool, is_bare: bool
) -> list[tuple[Word, Word, int]]:
    candidates = []
    for one in left:
        for other in right:
            halves = _closeness(one, other, is_person=is_person, is_bare=is_bare)
            if halves is not None:
                letters = max(len(one.text), len(other.text))
                texts = (one.text, other.text) if one.text < other.text else (other.text, one.text)
                candidates.append((1000 * halves // letters, -letters, texts, one, other, halves))
    candidates.sort()
    return [candidate[3:] for candidate in candidates]


def _closeness(one: Word, other: Word, *, is_person: bool, is_bare: bool) -> int | None:
    """Half edits where the two may be the same word, else None: fewer than one edit in two letters."""
    if one.text == other.text:
        return 0
    if one.text.isdecimal() and other.text.isdecimal():
        return 2 * OSA.distance(one.text, other.text)
    if len(one.text) == 1 or len(other.text) == 1:
        return 1 if is_person and one.text[0] == other.text[0] else None
    halves = half_edits(one, other, is_bare=is_bare)
    forms = (consonants_of(one.text), consonants_of(other.text)) if is_bare else (one.text, other.text)
    return halves if halves < max(map(len, forms)) else None


def _word_deductions(aligned: _Aligned, weights: Weights, *, is_person: bool, is_bare: bool) -> list[Deduction]:
    found = [_pair_deduction(*pair, weights) for pair in aligned.pairs if pair[2]]
    left_over, right_over = aligned.left_over, aligned.right_over
    if left_over and right_over and (aligned.pairs or not is_person):  # a person is not known by initials alone
        left_read, right_read = _acronym(left_over, right_over, is_person=is_person)
        if left_read:
            left_over = [one for one in left_over if one not in left_read]
            right_over = [one for one in right_over if one not in right_read]
            found.append(Deduction(Difference.ACRONYM, _text(left_read), _text(right_read), weights.acronym))
    if not aligned.pairs and not found:
        return [Deduction(Difference.NOTHING_IN_COMMON, _text(left_over), _text(right_over), SCORE_MAX)]
    found += _over_deductions(left_over, right_over, weights, is_person=is_person)
    if is_person:
        found += _thin_evidence(aligned, left_over, right_over, weights)
    return found


def _pair_deduction(left: Word, right: Word, halves: int, weights: Weights) -> Deduction:
    if left.text.isdecimal() and right.text.isdecimal():
        return Deduction(Difference.NUMBER, left.text, right.text, halves * weights.half_edit)
    if len(left.text) == 1 or len(right.text) == 1:
        return Deduction(Difference.INITIAL, left.text, right.text, weights.initial)
    return Deduction(Difference.SPELLING, left.text, right.text, halves * weights.half_edit)


def _acronym(left: Sequence[Word], right: Sequence[Word], *, is_person: bool) -> tuple[list[Word], list[Word]]:
    """A word of one side and the words of the other that it is the initials of, as they stand left and right."""
    if run := _spelled_out(left, right, is_person=is_person):
        return run
    run = _spelled_out(right, left, is_person=is_person)
    return run[::-1] if run else ([], [])


def _spelled_out(
    short: Sequence[Word], long: Sequence[Word], *, is_person: bool
) -> tuple[list[Word], list[Word]] | None:
    fewest, most = ACRONYM_LETTERS[is_person]
    for one in short:
        letters = len(one.text)
        for at in range(len(long) - letters + 1 if fewest <= letters <= most else 0):
            run = list(long[at : at + letters])
            if "".join(other.text[0] for other in run) == one.text:
                return [one], run
    return None


def _over_deductions(
    left: Sequence[Word], right: Sequence[Word], weights: Weights, *, is_person: bool
) -> list[Deduction]:
    """Words without a counterpart: those on both sides contradict each other, the surplus of one side is extra."""
    found = []
    contradictions = min(len(left), len(right))
    if contradictions:
        found.append(Deduction(Difference.OTHER_WORD, _text(left), _text(right), contradictions * weights.other_word))
    longer = left if len(left) > len(right) else right
    for one in longer[contradictions:]:
        sides = (one.text, "") if longer is left else ("", one.text)
        if is_person:
            found.append(Deduction(Difference.EXTRA_WORD, *sides, weights.extra_word_of_person))
        elif one.text.isdecimal():
            found.append(Deduction(Difference.EXTRA_NUMBER, *sides, weights.extra_number))
        else:
            found.append(Deduction(Difference.EXTRA_WORD, *sides, weights.extra_word))
    return found


def _thin_evidence(
    aligned: _Aligned, left_over: Sequence[Word], right_over: Sequence[Word], weights: Weights
) -> list[Deduction]:
    """A person's full name is not shown by a single word of it, nor by initials."""
    thin = []
    if len(aligned.pairs) == 1 and bool(left_over) != bool(right_over):
        thin.append((Difference.ONE_WORD_ONLY, weights.one_word_only))
    if all(len(one.text) == 1 or len(other.text) == 1 for one, other, _ in aligned.pairs) and _differ(aligned):
        thin.append((Difference.INITIALS_ONLY, weights.initials_only))
    if not thin:
        return []
    texts = _text(one for one, _, _ in aligned.pairs), _text(other for _, other, _ in aligned.pairs)
    return [Deduction(difference, *texts, permille) for difference, permille in thin]


def _differ(aligned: _Aligned) -> bool:
    return any(one is not other for one, other, _ in aligned.pairs)


def _whole_name_deductions(left: Name, right: Name, weights: Weights, *, is_bare: bool) -> list[Deduction] | None:
    """Spaces in other places, or a short word that changed: the names written as one word each."""
    if abs(len(left.whole) - len(right.whole)) > WHOLE_NAME_HALF_EDITS_MAX:  # not worth the time to look closer
        return None
    halves = half_edits(word(left.whole), word(right.whole), is_bare=is_bare)
    if halves > WHOLE_NAME_HALF_EDITS_MAX or 2 * halves >= max(len(left.whole), len(right.whole)):
        return None
    whole = _text(left.words), _text(right.words)
    return [Deduction(Difference.SPELLING, *whole, halves * weights.half_edit)] if halves else []


def _compare_ideographs(left: Name, right: Name, weights: Weights) -> Comparison:
    """Character by character; names of unequal lengths by how many characters have to be changed."""
    one, other = left.ideographs, right.ideographs
    if len(one) == len(other):
        changed = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
        found = [Deduction(Difference.IDEOGRAPH, *pair, _ideograph_cost(*pair, weights)) for pair in changed]
    else:
        found = [Deduction(Difference.IDEOGRAPH, one, other, Levenshtein.distance(one, other) * weights.ideograph)]
    return Comparison(max(0, SCORE_MAX - _cost(found)), ((one, other),), tuple(found))


def _ideograph_cost(one: str, other: str, weights: Weights) -> int:
    return weights.ideograph_of_same_sound if latin(one) == latin(other) else weights.ideograph


def _text(words: Iterable[Word]) -> str:
    return " ".join(one.text for one in words)
