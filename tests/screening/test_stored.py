"""Goal: a list version is stored whole, knows what it changed, and subjects are screened against just that; a question
is open once, decided once, and comes back exactly when either side has changed. Real Postgres.
"""

from collections import Counter
from collections.abc import Iterable

import psycopg
import pytest
from psycopg import Connection

from payments.screening.decisions import Subject
from payments.screening.entries import Alias, ListEntry, Quality, Source
from payments.screening.names import Schema
from screening.hits import (
    DecisionRefused,
    HitStatus,
    brought_by,
    decide_hit,
    rescreened,
    rescreens_due,
    screen_subject,
)
from screening.kept_lists import KeptLists
from screening.lists.published import PublishedList, Skipped
from screening.stored_lists import Loaded, LoadRefused, lists_in_force, load_list

KEY = b"a key of a test"
TARIK = ListEntry(
    Source.UN,
    "1",
    Schema.PERSON,
    "Tarik Osmanow",
    (Alias("Tariq Usmanov", Quality.STRONG),),
    ("1960",),
    ("Elbonia",),
    ("ELB",),
)
ZVEZDA = ListEntry(Source.UN, "2", Schema.ORGANIZATION, "Zvezda Trade")
AURORA = ListEntry(Source.UN, "3", Schema.VESSEL, "Aurora 3")
SUBJECT = Subject("user-1", ("Tarik Osmanov",), Schema.PERSON)
OTHER = Subject("user-2", ("Zvezda Trade",), Schema.ORGANIZATION)


def published(*entries: ListEntry) -> PublishedList:
    return PublishedList(Source.UN, entries, Counter({Skipped.ALIAS_WITHOUT_NAME: 2}))


def loaded(connection: Connection, *entries: ListEntry) -> Loaded:
    result = load_list(connection, published(*entries), may_shrink=True)
    assert isinstance(result, Loaded)
    return result


def screened(connection: Connection, subject: Subject) -> list[int]:
    return screen_subject(connection, lists_in_force(connection), subject, KEY)


def rescreen_delta(connection: Connection, version: int, subjects: Iterable[Subject], key: bytes) -> int:
    """As `millrace screening rescreen` does it; how many hits are new."""
    lists = brought_by(connection, version)
    found = sum(len(screen_subject(connection, lists, subject, key)) for subject in subjects)
    rescreened(connection, version)
    return found


def statuses(connection: Connection) -> list[HitStatus]:
    return [HitStatus(status) for (status,) in connection.execute("SELECT status FROM screening_hits ORDER BY hit")]


def test_a_list_comes_back_as_it_was_loaded(connection: Connection) -> None:
    version = loaded(connection, TARIK, ZVEZDA, AURORA).version
    lists = lists_in_force(connection)
    assert lists.versions == {Source.UN: version}
    assert len(lists.names) == 4
    found = lists.names.search("Tarik Osmanow", Schema.PERSON, 1000)
    assert [one.entry for one in found] == [TARIK]
    [(entries, skipped)] = connection.execute("SELECT entries, skipped FROM screening_lists").fetchall()
    assert (entries, skipped) == (3, {"alias_without_name": 2})


def test_lists_kept_in_memory_are_never_older_than_those_stored(connection: Connection) -> None:
    kept = KeptLists()
    assert (kept.current(connection).newest, len(kept.current(connection).names)) == (0, 0)
    loaded(connection, TARIK)
    first = kept.current(connection)
    assert len(first.names) == 2
    assert kept.current(connection) is first
    version = loaded(connection, TARIK, ZVEZDA).version
    assert (kept.current(connection).newest, len(kept.current(connection).names)) == (version, 3)


def test_a_version_knows_what_it_changed(connection: Connection) -> None:
    loaded(connection, TARIK, ZVEZDA)
    moved = TARIK._replace(countries=("Freedonia",))
    change = loaded(connection, moved, AURORA).delta
    assert (change.added, change.changed, change.removed) == ((AURORA,), (moved,), (ZVEZDA.key,))
    rows = connection.execute("SELECT uid, since, until FROM screening_entries ORDER BY uid, since").fetchall()
    first, second = (version for (version,) in connection.execute("SELECT version FROM screening_lists ORDER BY 1"))
    assert rows == [("1", first, second), ("1", second, None), ("2", first, second), ("3", second, None)]


def test_the_same_list_again_is_the_same_version(connection: Connection) -> None:
    first = loaded(connection, TARIK, ZVEZDA)
    again = loaded(connection, ZVEZDA, TARIK)
    assert again.version == first.version
    assert not again.delta.to_screen()
    assert not again.delta.removed
    assert loaded(connection, TARIK).version != first.version
    assert loaded(connection, TARIK, ZVEZDA).version != first.version  # back to it is a version of its own


def test_a_list_that_shrinks_is_taken_for_a_truncated_file(connection: Connection) -> None:
    many = [ZVEZDA._replace(uid=str(at)) for at in range(10)]
    loaded(connection, *many)
    assert load_list(connection, published(*many[:7])) is LoadRefused.SHRANK
    assert load_list(connection, published()) is LoadRefused.EMPTY
    assert isinstance(load_list(connection, published(*many[:8])), Loaded)
    assert isinstance(load_list(connection, published(*many[:3]), may_shrink=True), Loaded)


def test_a_question_is_open_once(connection: Connection) -> None:
    loaded(connection, TARIK, ZVEZDA)
    [hit] = screened(connection, SUBJECT)
    assert screened(connection, SUBJECT) == []
    row = connection.execute("SELECT hit, verdict, score_permille, uid, status FROM screening_hits").fetchone()
    assert row == (hit, "match", 1000, "1", HitStatus.OPEN)


def test_no_name_of_a_subject_is_written(connection: Connection) -> None:
    """Neither whole nor as a word of the explanation; the listed words are public."""
    loaded(connection, TARIK, ZVEZDA._replace(name="ZTK"))
    screened(connection, SUBJECT._replace(names=("Tarik Wasilij Osmenow",)))
    screened(connection, OTHER._replace(names=("Zvezda Trade Kombinat",)))
    written = str(connection.execute("SELECT screening_hits::text FROM screening_hits").fetchall()).lower()
    assert written.count("user-") == 2
    assert "osmanow" in written
    for word in ("wasilij", "osmenow", "kombinat", "zvezda"):
        assert word not in written


@pytest.mark.parametrize("decision", [HitStatus.CLEARED, HitStatus.CONFIRMED])
def test_a_decision_is_made_once_and_kept(connection: Connection, decision: HitStatus) -> None:
    loaded(connection, TARIK)
    [hit] = screened(connection, SUBJECT)
    assert decide_hit(connection, hit, decision, "ana", "another date of birth") is None
    assert decide_hit(connection, hit, HitStatus.CONFIRMED, "ben", "so it is") is DecisionRefused.HIT_NOT_OPEN
    assert screened(connection, SUBJECT) == []
    row = connection.execute(
        "SELECT status, decided_by, because, decided_at IS NOT NULL FROM screening_hits"
    ).fetchone()
    assert row == (decision, "ana", "another date of birth", True)
    good_guys = connection.execute("SELECT subject_id, uid FROM screening_good_guys").fetchall()
    assert good_guys == ([("user-1", "1")] if decision is HitStatus.CLEARED else [])


def test_refusals_of_decisions(connection: Connection) -> None:
    loaded(connection, TARIK)
    [hit] = screened(connection, SUBJECT)
    assert decide_hit(connection, hit + 1, HitStatus.CLEARED, "ana", "why") is DecisionRefused.HIT_UNKNOWN
    assert decide_hit(connection, hit, HitStatus.CLEARED, "ana", " ") is DecisionRefused.REASON_MISSING
    assert decide_hit(connection, hit, HitStatus.CLEARED, "", "why") is DecisionRefused.REASON_MISSING
    assert decide_hit(connection, hit, HitStatus.WITHDRAWN, "ana", "why") is DecisionRefused.DECISION_INVALID
    assert statuses(connection) == [HitStatus.OPEN]
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE screening_hits SET status = 2, decided_at = now()")


def test_a_true_match_is_released_by_two(connection: Connection) -> None:
    loaded(connection, TARIK)
    [hit] = screened(connection, SUBJECT)
    assert decide_hit(connection, hit, HitStatus.CONFIRMED, "ana", "same passport") is None
    assert decide_hit(connection, hit, HitStatus.CLEARED, "ben", "the passport is another one") is None
    assert statuses(connection) == [HitStatus.CONFIRMED]
    assert decide_hit(connection, hit, HitStatus.CLEARED, "ben", "again") is DecisionRefused.PERSON_REPEATED
    assert decide_hit(connection, hit, HitStatus.CLEARED, "ana", "so it is") is None
    assert statuses(connection) == [HitStatus.CLEARED]
    made = connection.execute("SELECT decided_by, status FROM screening_decisions ORDER BY decision").fetchall()
    assert made == [("ana", 3), ("ben", 2), ("ana", 2)]


def test_a_cleared_pair_is_asked_again_when_the_entry_changes(connection: Connection) -> None:
    loaded(connection, TARIK, ZVEZDA)
    [hit] = screened(connection, SUBJECT)
    decide_hit(connection, hit, HitStatus.CLEARED, "ana", "born in 1990")
    version = loaded(connection, TARIK, ZVEZDA._replace(programmes=("X",))).version
    assert rescreen_delta(connection, version, [SUBJECT], KEY) == 0
    version = loaded(connection, TARIK._replace(birth_dates=("1990",)), ZVEZDA).version
    assert rescreen_delta(connection, version, [SUBJECT], KEY) == 1
    assert statuses(connection) == [HitStatus.CLEARED, HitStatus.OPEN]


def test_a_subject_of_another_name_is_another_question(connection: Connection) -> None:
    loaded(connection, TARIK)
    screened(connection, SUBJECT)
    assert len(screened(connection, SUBJECT._replace(names=("Tarik Osmanow",)))) == 1
    assert screened(connection, SUBJECT._replace(names=("Jane Belkin",))) == []
    assert statuses(connection) == [HitStatus.WITHDRAWN, HitStatus.WITHDRAWN]
    assert len(screened(connection, SUBJECT)) == 1


def test_a_name_of_before_withdraws_no_hit_of_the_present_one(connection: Connection) -> None:
    """Its screening began before the party was renamed, and ends after."""
    loaded(connection, TARIK)
    row = SUBJECT.id, b"u" * 16, SUBJECT.schema, SUBJECT.fingerprint(KEY)
    insert = "INSERT INTO screening_parties VALUES (%s, encode(%s, 'hex')::uuid, %s, %s, NULL, 'clerk')"
    connection.execute(insert, row)
    assert len(screened(connection, SUBJECT)) == 1
    assert screened(connection, SUBJECT._replace(names=("Jane Belkin",))) == []
    assert statuses(connection) == [HitStatus.OPEN]


def test_subjects_meet_only_what_a_version_brought(connection: Connection) -> None:
    first = loaded(connection, TARIK).version
    assert rescreens_due(connection) == [first]
    assert rescreen_delta(connection, first, [], KEY) == 0
    second = loaded(connection, TARIK, ZVEZDA).version
    assert rescreen_delta(connection, second, iter([SUBJECT, OTHER]), KEY) == 1
    assert connection.execute("SELECT subject_id, list_version FROM screening_hits").fetchall() == [("user-2", second)]
    assert rescreens_due(connection) == []
    assert rescreen_delta(connection, second, [SUBJECT, OTHER], KEY) == 0  # after a crash: nothing is found twice


def test_what_leaves_a_list_is_withdrawn_and_what_was_confirmed_stays(connection: Connection) -> None:
    loaded(connection, TARIK, ZVEZDA, AURORA)
    [kept], [gone] = screened(connection, SUBJECT), screened(connection, OTHER)
    decide_hit(connection, kept, HitStatus.CONFIRMED, "ana", "same passport")
    version = loaded(connection, AURORA).version
    assert rescreen_delta(connection, version, [SUBJECT, OTHER], KEY) == 0
    found = connection.execute("SELECT hit, status FROM screening_hits ORDER BY hit").fetchall()
    assert found == [(kept, HitStatus.CONFIRMED), (gone, HitStatus.WITHDRAWN)]


def test_a_failed_load_leaves_the_list_in_force(connection: Connection) -> None:
    version = loaded(connection, TARIK).version
    with pytest.raises(ValueError, match="stands in the list twice"):
        load_list(connection, published(TARIK, ZVEZDA, ZVEZDA))
    assert lists_in_force(connection).versions == {Source.UN: version}
    assert len(lists_in_force(connection).names) == 2
