"""Goal: under any sequence of times, lost progress and refusals, each occurrence moves money once. What is due is
compared with a model that tries every day and looks at the clock every minute.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payments.book import HOUR_US
from payments.errors import UndecodableRecord
from payments.terms.occurrences import (
    DUE_MAX,
    LATE_US,
    RETRIES_WAITING_MAX,
    Occurrence,
    Progress,
    decode_progress,
    due,
    encode_progress,
    idempotency_key,
    left_out,
    next_due_us,
    refused,
)
from payments.terms.schedules import RETRIES_MAX, MissedRuns, Schedule, schedule_problem
from payments.terms.wall_clock import zone_of
from tests.payments.terms.calendar_model import (
    DAY_US,
    EPOCH,
    Fields,
    around_changes,
    clock_change_us,
    shown_us,
    subsets,
)

DAYS = 5
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Case:
    """A schedule around a change of its zone's clocks, the model's wall-clock times and instants for it, and when it is
    asked what is due, in any order.
    """

    schedule: Schedule
    expected: list[tuple[datetime, int]]
    asked_us: list[int]
    end_us: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    name, first = draw(st.sampled_from(list(around_changes())))
    each = Fields(draw(subsets(0, 59, 4)), draw(subsets(0, 4, 4) | subsets(0, 23, 8)), None, None, None)
    midnight = datetime.combine(first, time())
    starts = midnight + timedelta(minutes=draw(st.integers(0, 24 * 60)))
    ends = draw(st.none() | st.integers(24 * 60, 3 * 24 * 60).map(lambda later: starts + timedelta(minutes=later)))
    schedule = Schedule(bytes(16), name, starts, each.expression, ends, draw(st.none() | st.integers(1, 30)))
    zone = zone_of(name)
    walls = [wall for wall in each.walls(first, DAYS, False) if starts <= wall and (ends is None or wall <= ends)]
    expected = [(wall, shown_us(zone, wall)) for wall in walls]
    start_us = _us(midnight)
    end_us = start_us + (DAYS - 2) * DAY_US  # from then on the model's days no longer cover every zone
    near = [at_us for _, at_us in expected if at_us <= end_us] or [start_us]
    change_us = clock_change_us(zone, start_us)
    around = st.integers(change_us - 2 * HOUR_US, change_us + 2 * HOUR_US)
    asked = (
        around | st.integers(start_us - DAY_US, end_us) | st.builds(_later, st.sampled_from(near), st.integers(-1, 120))
    )
    return Case(schedule, expected, draw(st.lists(asked, min_size=1, max_size=12)), end_us)


def _later(at_us: int, minutes: int) -> int:
    return at_us + (minutes * 60_000_000 if minutes >= 0 else minutes)


@given(cases())
def test_each_occurrence_is_due_once_and_in_order(case: Case) -> None:
    assert schedule_problem(case.schedule) is None
    waiting = case.expected[: case.schedule.times]
    progress = Progress()
    for now_us in case.asked_us:
        if waiting:
            assert next_due_us(case.schedule, progress) == waiting[0][1]
        wanted = [each for each in waiting if each[1] <= now_us][:DUE_MAX]
        found, progress = due(case.schedule, progress, now_us)
        assert found == tuple(Occurrence(wall, 0, at_us) for wall, at_us in wanted)
        waiting = waiting[len(wanted) :]


@given(cases())
def test_only_the_last_of_those_that_were_missed(case: Case) -> None:
    schedule = case.schedule._replace(missed=MissedRuns.LAST)
    left, waiting, progress = schedule.times, case.expected, Progress()
    for now_us in case.asked_us:
        reached = [each for each in waiting if each[1] <= now_us]
        wanted = reached[-1:] if left != 0 else []
        found, progress = due(schedule, progress, now_us)
        assert found == tuple(Occurrence(wall, 0, at_us) for wall, at_us in wanted)
        waiting = waiting[len(reached) :] if wanted else waiting
        left = None if left is None else left - len(wanted)


@given(cases())
def test_none_of_those_that_were_missed(case: Case) -> None:
    schedule = case.schedule._replace(missed=MissedRuns.NONE)
    left, waiting, progress = schedule.times, case.expected, Progress()
    for now_us in case.asked_us:
        waiting = [each for each in waiting if each[1] > now_us - LATE_US]
        wanted = [each for each in waiting if each[1] <= now_us][:left][:DUE_MAX]
        found, progress = due(schedule, progress, now_us)
        assert found == tuple(Occurrence(wall, 0, at_us) for wall, at_us in wanted)
        waiting = waiting[len(wanted) :]
        left = None if left is None else left - len(wanted)


@given(cases())
def test_what_is_left_out_never_comes_and_the_rest_does(case: Case) -> None:
    until_us = case.asked_us[0]
    progress = left_out(case.schedule, Progress(), until_us)
    assert left_out(case.schedule, progress, until_us) == progress
    later = [at_us for _, at_us in case.expected if at_us > until_us]
    assert next_due_us(case.schedule, progress) == next(iter(later), None)


@pytest.mark.parametrize("missed", MissedRuns)
def test_a_transfer_once_is_left_out_where_it_was_missed_and_none_is_wanted(missed: MissedRuns) -> None:
    once = Schedule(bytes(16), "UTC", datetime(2026, 5, 1, 9), missed=missed)
    found, progress = due(once, Progress(), _us(datetime(2026, 5, 1, 10)) + LATE_US)
    assert len(found) == (0 if missed is MissedRuns.NONE else 1)
    assert next_due_us(once, progress) is None


@given(cases(), st.sets(st.integers(0, 11)))
def test_a_job_run_twice_moves_money_once(case: Case, lost: set[int]) -> None:
    """The progress of some calls is lost, as by a crash: the same keys come again, and the ledger knows them."""
    paid: dict[str, datetime] = {}
    progress = Progress()
    for number, now_us in enumerate([*case.asked_us, *[case.end_us] * 4]):
        found, after = due(case.schedule, progress, now_us)
        paid |= {idempotency_key(case.schedule.schedule_id, each.wall, each.attempt): each.wall for each in found}
        progress = (
            progress if number in lost and number < len(case.asked_us) else decode_progress(encode_progress(after))
        )
    reached = [
        wall for wall, at_us in case.expected[: case.schedule.times] if at_us <= max(case.end_us, *case.asked_us)
    ]
    assert list(paid.values()) == reached


@pytest.mark.parametrize("times", [None, 1, 2])
def test_the_last_one_in_a_doubled_hour_is_of_its_first_pass(times: int | None) -> None:
    """Berlin, 25 October, 02:15 for the second time: 02:50 has been, 03:00 is still to come."""
    often = Schedule(
        bytes(16), "Europe/Berlin", datetime(2026, 10, 25), "*/10 * * * *", times=times, missed=MissedRuns.LAST
    )
    found, _ = due(often, Progress(), _us(datetime(2026, 10, 25, 1, 15)))
    assert [each.wall for each in found] == [datetime(2026, 10, 25, 2, 50)]


def test_a_call_returns_no_more_than_its_bound_and_the_next_goes_on() -> None:
    minutely = Schedule(bytes(16), "UTC", datetime(2026, 1, 1), "* * * * *", times=250)
    now_us = _us(datetime(2027, 1, 1))
    progress, sizes, walls = Progress(), [], []
    for _ in range(4):
        found, progress = due(minutely, progress, now_us)
        sizes.append(len(found))
        walls += [each.wall for each in found]
    assert sizes == [DUE_MAX, DUE_MAX, 50, 0]
    assert walls == [datetime(2026, 1, 1) + timedelta(minutes=number) for number in range(250)]
    assert next_due_us(minutely, progress) is None


def test_once_is_due_once() -> None:
    once = Schedule(bytes(16), "Asia/Kathmandu", datetime(2026, 5, 1, 9, 0, 30))
    at_us = _us(datetime(2026, 5, 1, 3, 15, 30))
    assert due(once, Progress(), at_us - 1) == ((), Progress())
    found, progress = due(once, Progress(), at_us)
    assert found == (Occurrence(once.starts, 0, at_us),)
    assert due(once, progress, at_us + DAY_US) == ((), progress)
    assert next_due_us(once, progress) is None


@pytest.mark.parametrize("missed", [MissedRuns.EACH, MissedRuns.LAST])
@pytest.mark.parametrize("other", ["Europe/London", "Europe/Helsinki"])
def test_new_rules_of_a_zone_repeat_nothing(missed: MissedRuns, other: str) -> None:
    """A new edition of the zone rules moves the clock by an hour either way: stood for by a neighbouring zone."""
    daily = Schedule(bytes(16), "Europe/Berlin", datetime(2026, 1, 1, 9), "0 9 * * *", missed=missed)
    _, progress = due(daily, Progress(), _us(datetime(2026, 1, 5, 8)))
    assert progress.last == datetime(2026, 1, 5, 9)
    moved = daily._replace(zone=other)
    assert due(moved, progress, _us(datetime(2026, 1, 5, 20))) == ((), progress)
    found, _ = due(moved, progress, _us(datetime(2026, 1, 6, 20)))
    assert [each.wall for each in found] == [datetime(2026, 1, 6, 9)]


@given(st.integers(0, RETRIES_MAX), st.integers(1, 168), st.randoms(use_true_random=False), st.booleans())
def test_refused_tries_are_repeated_until_one_succeeds(retries: int, hours: int, chance: Random, broke: bool) -> None:
    """Every answer may be told twice or late, and every job may run twice. No occurrence succeeds twice, none is given
    up early, and none is tried again before its time.
    """
    daily = Schedule(
        bytes(16), "UTC", datetime(2026, 1, 1, 9), "0 9 * * *", times=5, retries=retries, retry_hours=hours
    )
    outcomes: dict[tuple[datetime, int], bool] = {}
    refused_at_us: dict[Occurrence, int] = {}
    progress, now_us = Progress(), _us(datetime(2026, 1, 1))
    while (next_us := next_due_us(daily, progress)) is not None:
        now_us = max(now_us, next_us) + chance.choice((0, chance.randrange(12 * HOUR_US)))
        due(daily, progress, now_us)  # a run that crashed
        found, progress = due(daily, progress, now_us)
        assert found
        for each in found:
            assert each.attempt == 0 or outcomes[each.wall, each.attempt - 1] is False
            assert each.attempt == 0 or each.due_at_us == _told(refused_at_us, each) + hours * HOUR_US
            if not outcomes.setdefault((each.wall, each.attempt), not broke and chance.random() < 0.5):
                refused_at_us.setdefault(each, now_us)
        for each, at_us in refused_at_us.items():
            if (each.wall, each.attempt + 1) not in outcomes or chance.random() < 0.1:
                progress = refused(daily, progress, each, at_us)
    for day in range(5):
        tries = [outcomes[wall, attempt] for wall, attempt in sorted(outcomes) if wall.day == day + 1]
        assert True not in tries[:-1]
        assert tries[-1] or len(tries) == retries + 1


def _told(refused_at_us: dict[Occurrence, int], retry: Occurrence) -> int:
    return next(
        at for each, at in refused_at_us.items() if (each.wall, each.attempt + 1) == (retry.wall, retry.attempt)
    )


def test_more_refusals_than_may_wait_are_given_up() -> None:
    minutely = Schedule(bytes(16), "UTC", datetime(2026, 1, 1), "* * * * *", retries=1)
    found, progress = due(minutely, Progress(), _us(datetime(2026, 1, 1, 1)))
    for each in found:
        progress = refused(minutely, progress, each, each.due_at_us)
    assert [retry.wall for retry in progress.retries] == [each.wall for each in found[:RETRIES_WAITING_MAX]]


def test_a_refusal_told_twice_waits_once() -> None:
    daily = Schedule(bytes(16), "UTC", datetime(2026, 1, 1, 9), "0 9 * * *", retries=2)
    found, progress = due(daily, Progress(), _us(datetime(2026, 1, 2, 9)))
    once = refused(daily, refused(daily, progress, found[0], 7), found[1], 5)
    assert [retry.due_at_us - 24 * HOUR_US for retry in once.retries] == [5, 7]
    assert refused(daily, once, found[0], 9) == once


def test_retries_come_before_new_occurrences_and_count_in_the_bound() -> None:
    minutely = Schedule(bytes(16), "UTC", datetime(2026, 1, 1), "* * * * *", retries=1, retry_hours=1, times=200)
    found, progress = due(minutely, Progress(), _us(datetime(2026, 1, 1, 0, 1)))
    for each in found:
        progress = refused(minutely, progress, each, each.due_at_us)
    found, progress = due(minutely, progress, _us(datetime(2026, 1, 2)))
    assert [each.attempt for each in found] == [1, 1] + [0] * (DUE_MAX - 2)
    assert progress.issued == 2 + DUE_MAX - 2


def test_the_key_names_schedule_occurrence_and_try() -> None:
    key = idempotency_key(bytes(15) + b"\x01", datetime(2026, 1, 31, 9), 2)
    assert key == "sch_00000000000000000000000001/2026-01-31T09:00:00/2"


walls = st.datetimes()
progresses = st.builds(
    Progress,
    st.none() | walls,
    st.integers(0, 2**32 - 1),
    st.lists(
        st.builds(Occurrence, walls, st.integers(0, 255), st.integers(-(2**63), 2**63 - 1)),
        max_size=RETRIES_WAITING_MAX,
    ).map(tuple),
)


@given(progresses)
def test_progress_to_bytes_and_back(progress: Progress) -> None:
    encoded = encode_progress(progress)
    assert decode_progress(encoded) == progress
    assert len(encoded) == 14 + 17 * len(progress.retries)


@given(progresses, st.integers(0, 600))
def test_cut_or_lengthened_bytes_are_no_progress(progress: Progress, place: int) -> None:
    encoded = encode_progress(progress)
    for wrong in (encoded[: place % len(encoded)], encoded + b"\0", b"\2" + encoded[1:]):
        with pytest.raises(UndecodableRecord):
            decode_progress(wrong)


@given(st.binary(max_size=80))
@example(bytes([1]) + b"\x7f" * 8 + bytes(5))  # a year beyond 9999
def test_any_bytes_are_a_progress_or_undecodable(encoded: bytes) -> None:
    try:
        progress = decode_progress(encoded)
    except UndecodableRecord:
        return
    assert encode_progress(progress) == encoded


def _us(utc: datetime) -> int:
    return (utc.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
