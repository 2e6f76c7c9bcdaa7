"""Goal: what must hold for any names: symmetry, order, diacritics, bounds, and that the sum is the score.

Names are made of syllables, so that they are pronounceable in many languages and nobody's.
"""

import unicodedata
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from payments.screening.comparison import SCORE_MAX, compare
from payments.screening.decisions import DEFAULT_THRESHOLDS
from payments.screening.names import Schema, read_name

SYLLABLES = (
    "ba",
    "chi",
    "da",
    "el",
    "fen",
    "go",
    "han",
    "il",
    "jo",
    "ka",
    "lin",
    "mu",
    "nor",
    "ost",
    "ra",
    "sho",
    "tz",
)
ACCENTS = "\u0300\u0301\u0302\u0303\u0308\u030a\u030c\u0327"

words = st.lists(st.sampled_from(SYLLABLES), min_size=1, max_size=4).map("".join)
names = st.lists(words, min_size=1, max_size=5).map(" ".join)
anything = st.text(max_size=40)
schemas = st.sampled_from(list(Schema))


@given(names | anything, names | anything, schemas, schemas)
def test_the_order_of_the_names_is_nothing(left: str, right: str, one: Schema, other: Schema) -> None:
    here, there = read_name(left, one), read_name(right, other)
    forth, back = compare(here, there), compare(there, here)
    assert forth.score_permille == back.score_permille
    assert sorted((d.difference, d.left, d.right, d.permille) for d in forth.deductions) == sorted(
        (d.difference, d.right, d.left, d.permille) for d in back.deductions
    )


@given(names | anything, names | anything, schemas)
def test_a_score_is_what_is_left_of_1000(left: str, right: str, schema: Schema) -> None:
    result = compare(read_name(left, schema), read_name(right, schema))
    assert result.score_permille == max(0, SCORE_MAX - sum(one.permille for one in result.deductions))
    assert all(one.permille > 0 for one in result.deductions)


@given(names | anything, schemas)
def test_a_name_is_itself(text: str, schema: Schema) -> None:
    name = read_name(text, schema)
    expected = SCORE_MAX if name.words or name.ideographs else 0
    assert compare(name, name).score_permille == expected


@given(names.flatmap(lambda text: st.tuples(st.just(text), st.permutations(text.split()))))
def test_a_person_s_words_may_stand_in_any_order(case: tuple[str, Sequence[str]]) -> None:
    text, reordered = case
    score = compare(read_name(text, Schema.PERSON), read_name(" ".join(reordered), Schema.PERSON)).score_permille
    assert score >= DEFAULT_THRESHOLDS.match


long_words = st.lists(st.sampled_from(SYLLABLES), min_size=3, max_size=5).map("".join)


@given(st.lists(long_words, min_size=2, max_size=4), st.data())
def test_a_mistyped_letter_in_a_reordered_person_s_name_is_still_possible(name: list[str], data: st.DataObject) -> None:
    """Nothing costs more than one edit: no word of five letters and more becomes another word by it."""
    at = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.integers(1, len(name[at]) - 1))
    mistyped = name[at][:letter] + data.draw(st.sampled_from("bdfgklmnprstv")) + name[at][letter + 1 :]
    reordered = data.draw(st.permutations([*name[:at], mistyped, *name[at + 1 :]]))
    score = compare(read_name(" ".join(name), Schema.PERSON), read_name(" ".join(reordered), Schema.PERSON))
    assert score.score_permille >= DEFAULT_THRESHOLDS.possible


@given(names, st.data(), schemas)
def test_a_diacritic_changes_nothing(text: str, data: st.DataObject, schema: Schema) -> None:
    at = data.draw(st.sampled_from([at for at, letter in enumerate(text) if letter.isalpha()]))
    accent = data.draw(st.sampled_from(ACCENTS))
    form = data.draw(st.sampled_from(("NFC", "NFD")))
    accented = unicodedata.normalize("NFC" if form == "NFC" else "NFD", text[: at + 1] + accent + text[at + 1 :])
    assert read_name(accented, schema).words == read_name(text, schema).words


@given(names, schemas)
def test_case_and_white_space_change_nothing(text: str, schema: Schema) -> None:
    assert read_name(f"  {text.upper().replace(' ', '   ')} ", schema).words == read_name(text, schema).words
