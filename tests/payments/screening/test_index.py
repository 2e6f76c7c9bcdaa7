"""Goal: the index finds what comparing with every name finds, and forgets nothing that it was given.

Method: made-up names with made-up mistakes; the slow way, a comparison with each listed name, is the truth.
"""

import random

import pytest

from benchmarks.screening.made_up_names import disguised, made_up_entries
from payments.screening.comparison import compare
from payments.screening.decisions import DEFAULT_THRESHOLDS
from payments.screening.entries import Alias, EntryKey, ListEntry, Quality, Source
from payments.screening.index import CANDIDATES, NameIndex
from payments.screening.names import Schema, read_name

ENTRIES = made_up_entries(1_000, seed=11)
LISTED = [(entry, read_name(entry.name, entry.schema)) for entry in ENTRIES]
FLOOR = DEFAULT_THRESHOLDS.possible


def by_comparing_all(text: str, schema: Schema) -> set[EntryKey]:
    asked, as_organization = read_name(text, schema), read_name(text, Schema.ORGANIZATION)
    return {
        entry.key
        for entry, listed in LISTED
        if compare(asked if listed.is_person else as_organization, listed).score_permille >= FLOOR
    }


def test_little_is_lost_against_comparing_all() -> None:
    """Of 40 disguised names; docs/screening.md has the figure for 20,000 entries."""
    chance = random.Random(5)
    index, wanted, lost = NameIndex(ENTRIES), 0, []
    for entry in chance.sample(ENTRIES, 40):
        text = disguised(entry.name, chance)
        truth = by_comparing_all(text, entry.schema)
        found = {one.entry.key for one in index.search(text, entry.schema, FLOOR)}
        assert found <= truth
        wanted += len(truth)
        lost += [(text, key.uid) for key in truth - found]
    assert wanted >= 30
    assert lost == []


def entry(uid: str, name: str, schema: Schema, *aliases: str) -> ListEntry:
    return ListEntry(Source.UN, uid, schema, name, tuple(Alias(text, Quality.STRONG) for text in aliases))


INDEX = NameIndex(
    [
        entry("1", "Tarik Osmanow", Schema.PERSON, "طارق عثمانوف"),
        entry("2", "Zvezda Trade Kombinat OOO", Schema.ORGANIZATION, "ZTK"),
        entry("3", "Aurora 3", Schema.VESSEL),
        *made_up_entries(CANDIDATES + 50, seed=3),
    ]
)


@pytest.mark.parametrize(
    ("asked", "uid"),
    [
        ("OSMANOV Tarik", "1"),
        ("T. Osmanow", "1"),
        ("TarikOsmanow", "1"),
        ("Тарик Османов", "1"),
        ("Tariq Uthmanuf", "1"),
        ("ZTK", "2"),
        ("Zvezda Trade Kombinat LLC", "2"),
        ("AURORA III", "3"),
    ],
)
def test_every_way_in(asked: str, uid: str) -> None:
    assert uid in {one.entry.uid for one in INDEX.search(asked, None, FLOOR) if one.entry.source is Source.UN}


def test_the_best_stands_first_and_every_name_of_an_entry_counts() -> None:
    found = INDEX.search("Tarik Osmanow", Schema.PERSON, FLOOR)
    scores = [one.comparison.score_permille for one in found]
    assert scores == sorted(scores, reverse=True)
    names = [one.name for one in found if one.entry.uid == "1" and one.entry.source is Source.UN]
    assert names[0] == "Tarik Osmanow"


def test_nothing_is_like_a_name_that_shares_no_letter() -> None:
    assert INDEX.search("…", None, FLOOR) == []
    assert NameIndex([]).search("Tarik Osmanow", None, FLOOR) == []
