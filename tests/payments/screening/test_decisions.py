"""Goal: verdicts follow thresholds and quality; a cleared pair stays cleared exactly as long as both are what they
were; a delta names what has to be screened again, and nothing else.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.screening.decisions import (
    DEFAULT_THRESHOLDS,
    GoodGuy,
    Subject,
    Thresholds,
    Verdict,
    not_cleared,
    screen,
    verdict_of,
)
from payments.screening.entries import Alias, ListEntry, Quality, Source, delta
from payments.screening.index import NameIndex
from payments.screening.names import Schema

KEY = b"a key of a test"
LISTED = ListEntry(Source.EU, "1", Schema.PERSON, "Tarik Osmanow", birth_dates=("1960",))
SUBJECT = Subject("user-1", ("Tarik Osmanov",), Schema.PERSON)


@pytest.mark.parametrize(
    ("permille", "quality", "verdict"),
    [
        (900, Quality.PRIMARY, Verdict.MATCH),
        (899, Quality.PRIMARY, Verdict.POSSIBLE),
        (750, Quality.STRONG, Verdict.POSSIBLE),
        (749, Quality.STRONG, Verdict.CLEAR),
        (900, Quality.WEAK, Verdict.POSSIBLE),
        (899, Quality.WEAK, Verdict.CLEAR),
    ],
)
def test_verdicts(permille: int, quality: Quality, verdict: Verdict) -> None:
    assert verdict_of(permille, quality) is verdict


def test_thresholds_are_the_caller_s() -> None:
    index = NameIndex([LISTED])
    subject = SUBJECT._replace(names=("Tarik Osmenow",))
    assert [hit.verdict for hit in screen(index, subject)] == [Verdict.MATCH]
    assert [hit.verdict for hit in screen(index, subject, Thresholds(950, 900))] == [Verdict.POSSIBLE]
    assert screen(index, subject, Thresholds(1000, 950)) == []


def test_an_entry_is_hit_once_by_its_best_name() -> None:
    listed = LISTED._replace(aliases=(Alias("Tarik Osmenov", Quality.STRONG), Alias("Tarik Osmanov", Quality.WEAK)))
    [hit] = screen(NameIndex([listed]), SUBJECT._replace(names=("T Osmanow", "Tarik Osmanov")))
    assert (hit.verdict, hit.found.quality) == (Verdict.MATCH, Quality.PRIMARY)


def good_guy(subject: Subject, entry: ListEntry) -> GoodGuy:
    return GoodGuy(subject.id, subject.fingerprint(KEY), entry.key, entry.fingerprint())


@pytest.mark.parametrize(
    ("subject", "entry"),
    [
        (SUBJECT._replace(names=("Tarik Osmanov", "Tarik Belkin")), LISTED),
        (SUBJECT._replace(schema=None), LISTED),
        (SUBJECT._replace(id="user-2"), LISTED),
        (SUBJECT, LISTED._replace(birth_dates=("1961",))),
        (SUBJECT, LISTED._replace(uid="2")),
        (SUBJECT, LISTED._replace(aliases=(Alias("Tarik Belkin", Quality.WEAK),))),
    ],
)
def test_what_was_cleared_is_asked_again_when_either_side_changes(subject: Subject, entry: ListEntry) -> None:
    cleared = frozenset({good_guy(SUBJECT, LISTED)})
    as_it_was = screen(NameIndex([LISTED]), SUBJECT)
    assert as_it_was
    assert not_cleared(as_it_was, SUBJECT.id, SUBJECT.fingerprint(KEY), cleared) == []
    changed = screen(NameIndex([entry]), subject)
    assert not_cleared(changed, subject.id, subject.fingerprint(KEY), cleared) == changed != []


def test_a_subject_is_the_same_in_any_order_of_its_names() -> None:
    two = SUBJECT._replace(names=("Tarik Osmanov", "Tarik Belkin"))
    assert two.fingerprint(KEY) == two._replace(names=two.names[::-1]).fingerprint(KEY)
    assert two.fingerprint(KEY) != two.fingerprint(b"another key")
    assert two.fingerprint(KEY) != two._replace(names=("Tarik Osmanov Tarik Belkin",)).fingerprint(KEY)


contents = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["Tarik", "Osman", "Belkin"]))


@given(contents, contents)
def test_a_delta_is_the_way_from_old_to_new(old: dict[str, str], new: dict[str, str]) -> None:
    was = [LISTED._replace(uid=uid, name=name) for uid, name in old.items()]
    is_now = [LISTED._replace(uid=uid, name=name) for uid, name in new.items()]
    change = delta({entry.key: entry.fingerprint() for entry in was}, is_now)
    assert {entry.uid for entry in change.added} == new.keys() - old.keys()
    assert {key.uid for key in change.removed} == old.keys() - new.keys()
    assert {entry.uid for entry in change.changed} == {uid for uid in new.keys() & old.keys() if new[uid] != old[uid]}
    assert set(change.to_screen()) == set(is_now) - set(was)


def test_a_uid_that_repeats_is_refused() -> None:
    with pytest.raises(ValueError, match="entry 1 stands in the list twice"):
        delta({}, [LISTED, LISTED])


def test_the_order_of_a_list_s_parts_is_no_change() -> None:
    one, other = Alias("A B", Quality.STRONG), Alias("C D", Quality.STRONG)
    assert LISTED._replace(aliases=(one, other)).fingerprint() == LISTED._replace(aliases=(other, one)).fingerprint()
    moved = LISTED._replace(countries=("1960",), birth_dates=())
    assert moved.fingerprint() != LISTED.fingerprint()


def test_default_thresholds_leave_room_for_a_decision() -> None:
    assert 0 < DEFAULT_THRESHOLDS.possible < DEFAULT_THRESHOLDS.match <= 1000
