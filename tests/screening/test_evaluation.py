"""Goal: the figures are the file's, a wrong file is refused with its line, and no pair is judged by what it taught."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.screening.made_up_names import disguised, made_up_entries
from payments.screening.comparison import WEIGHTS
from payments.screening.names import Schema, read_name
from screening import cross_validation
from screening.cross_validation import CHOICES, choose_weights, f1_with, groups_sharing_a_name
from screening.evaluation import Pair, PairsRefused, Scored, evaluate, quality, read_pairs

PAIRS = """\
case,name1,name2,is_match,schema,note
1,Tarik Osmanow,"OSMANOW, Tarik",true,Person,
2,Tarik Osmanow,Jusuf Belkin,FALSE,Person,
3,Zvezda Trade Ltd,Zvezda Trade Limited,1,Company,"a, b"
4,Zvezda Trade,Zvezda Fisheries,1,Company,not found
5,Aurora 3,Aurora 4,0,Vessel,found
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text(PAIRS)
    return path


def test_the_figures_are_those_of_the_file(file: Path) -> None:
    result = evaluate(read_pairs(file))
    assert (result.pairs, result.threshold) == (5, 0.75)
    assert (result.precision, result.recall, result.f1) == (0.6667, 0.6667, 0.6667)
    assert result.us_per_pair > 0


def test_schemas(file: Path) -> None:
    schemas = [pair.schema for pair in read_pairs(file)]
    assert schemas == [Schema.PERSON] * 2 + [Schema.ORGANIZATION] * 2 + [Schema.VESSEL]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("case,name1", "case,name", "pairs.csv, line 1: no column name1; the first line names them"),
        ("FALSE", "maybe", "pairs.csv, line 3: is_match is 'maybe'; write true, false, 1 or 0"),
        ("Zvezda Fisheries", "", "pairs.csv, line 5: a name is empty; give both"),
        ("4,Zvezda Trade,Zvezda Fisheries,1,Company,not found", "4", "pairs.csv, line 5: is_match is ''"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(file: Path, old: str, new: str, message: str) -> None:
    file.write_text(PAIRS.replace(old, new))
    with pytest.raises(PairsRefused) as refused:
        read_pairs(file)
    assert str(refused.value).startswith(message)


def test_a_file_without_pairs_or_in_another_encoding_is_refused(file: Path) -> None:
    file.write_text(PAIRS.splitlines()[0])
    with pytest.raises(PairsRefused, match="no pairs"):
        read_pairs(file)
    file.write_bytes(PAIRS.replace("Osmanow", "Osmänow").encode("latin-1"))
    with pytest.raises(PairsRefused, match="give CSV in UTF-8"):
        read_pairs(file)


def test_quality() -> None:
    scored = [Scored(900, True), Scored(800, False), Scored(750, True), Scored(749, True), Scored(0, False)]
    assert quality(scored, 750) == (0.6667, 0.6667, 0.6667)
    assert quality(scored, 901) == (0.0, 0.0, 0.0)


def labelled(*pairs: tuple[str, str]) -> list[cross_validation.Labelled]:
    return [(read_name(one, Schema.PERSON), read_name(other, Schema.PERSON), True) for one, other in pairs]


def test_pairs_that_share_a_name_stay_together() -> None:
    """Also over a third pair, and however the name is written."""
    pairs = labelled(("Ana Bel", "Ana Dor"), ("Eva Fin", "Eva Gol"), ("Dor, Ana", "Ina Lum"), ("Lum Ina", "EVA FIN"))
    assert groups_sharing_a_name([*pairs, *labelled(("Udo Wax", "Udo Zar"))]) == [[0, 1, 2, 3], [4]]


def test_folds_part_the_groups() -> None:
    groups = [labelled((f"Ana {letter}al", f"Ana {letter}ol")) for letter in "bdfgklm"]
    folds = list(cross_validation._folds(list(groups)))
    assert len(folds) == cross_validation.FOLDS * cross_validation.SHUFFLES
    for fold, rest in folds:
        assert len(fold) + len(rest) == len(groups)
        assert not {pair[0].text for pair in fold} & {pair[0].text for pair in rest}


def test_weights_are_chosen_from_nothing_and_do_as_well_as_those_in_use() -> None:
    """On made-up names with made-up mistakes; the start knows nothing of them."""
    chance = random.Random(2)
    entries = made_up_entries(30, seed=4)
    pairs = [Pair(entry.name, disguised(entry.name, chance), True, entry.schema) for entry in entries]
    pairs += [Pair(one.name, other.name, False, one.schema) for one, other in pairwise(entries)]
    names = [(read_name(one.name1, one.schema), read_name(one.name2, one.schema), one.is_match) for one in pairs]
    weights = choose_weights(names)
    assert set(weights) <= set(CHOICES)
    assert f1_with(weights, names) >= f1_with(WEIGHTS, names) > 0.8
