"""Wall clocks: instants and calendars against a model that looks at every minute and every day."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payments.terms.wall_clock import (
    calendar,
    instant_us,
    times_after,
    times_until,
    wall_limit,
    zone_names,
    zone_of,
)
from tests.payments.terms.calendar_model import CHANGES, DAY_US, EPOCH, Fields, around_changes, fields, shown_us

MICROSECOND = timedelta(microseconds=1)
days_of_change = st.sampled_from(list(around_changes()))
minutes_of_four_days = st.integers(0, 4 * 24 * 60)


def test_every_zone_can_be_read() -> None:
    assert len(zone_names()) > 400
    assert all(zone_of(name).key == name for name in zone_names())


@given(days_of_change, minutes_of_four_days)
def test_a_wall_clock_time_is_when_a_clock_first_shows_it_or_a_later_one(change: tuple[str, date], minute: int) -> None:
    zone = zone_of(change[0])
    wall = datetime.combine(change[1], time()) + timedelta(minutes=minute)
    assert instant_us(zone, wall) == shown_us(zone, wall)


@pytest.mark.parametrize(("name", "day"), CHANGES)
def test_instants_never_go_back(name: str, day: date) -> None:
    zone = zone_of(name)
    start = datetime.combine(day, time()) - timedelta(days=1)
    instants = [instant_us(zone, start + timedelta(minutes=minute)) for minute in range(3 * 24 * 60)]
    assert all(one <= other for one, other in pairwise(instants))


@pytest.mark.parametrize(("name", "day"), CHANGES)
def test_no_time_above_the_limit_was_reached(name: str, day: date) -> None:
    zone = zone_of(name)
    for now_us in range(_start_us(day), _start_us(day) + 3 * DAY_US, 5 * 60_000_000):
        limit = wall_limit(zone, now_us)
        assert instant_us(zone, limit + MICROSECOND) > now_us
        shown = (EPOCH + now_us * MICROSECOND).astimezone(zone).replace(tzinfo=None)
        assert shown <= limit <= shown + timedelta(hours=1)


def _start_us(day: date) -> int:
    return (datetime.combine(day, time(), UTC) - EPOCH) // MICROSECOND - DAY_US


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("Europe/Berlin", "2026-03-29T01:59", "2026-03-29T00:59"),
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29T02:59", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00"),
        ("Pacific/Apia", "2011-12-30T09:00", "2011-12-30T10:00"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
        ("UTC", "2026-01-01T00:00", "2026-01-01T00:00"),
    ],
)
def test_instants(zone: str, wall: str, instant: str) -> None:
    at = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert EPOCH + instant_us(zone_of(zone), datetime.fromisoformat(wall)) * MICROSECOND == at


@given(fields, st.dates(date(2019, 1, 1), date(2032, 12, 31)), st.booleans())
@example(Fields(frozenset({0}), frozenset({9}), frozenset({28}), None, None), date(2028, 1, 1), True)
@example(Fields(frozenset({0}), frozenset({9}), frozenset({29}), None, frozenset({1})), date(2027, 1, 1), True)
def test_a_calendar_is_what_trying_every_day_finds(each: Fields, first: date, month_end_counts: bool) -> None:
    expressions = calendar(each.expression, month_end_counts)
    if expressions is None:
        assert each.weekdays is None
        assert not each.walls(date(2020, 1, 1), 366, False), "refused, though its months have the day"
        return
    expected = each.walls(first, 500, month_end_counts)
    start, end = datetime.combine(first, time()), datetime.combine(first + timedelta(days=500), time())
    upwards = takewhile(lambda wall: wall < end, times_after(expressions, start - MICROSECOND))
    assert list(upwards) == expected
    downwards = islice(times_until(expressions, end - MICROSECOND), len(expected))
    assert list(downwards) == expected[::-1]


@given(fields, st.dates(date(2019, 1, 1), date(2032, 12, 31)))
def test_up_is_without_and_down_is_with_the_time_itself(each: Fields, first: date) -> None:
    expressions = calendar(each.expression, True)
    if expressions is None:
        return
    start = datetime.combine(first, time())
    for wall in each.walls(first, 100, True)[:3]:
        assert next(times_until(expressions, wall)) == wall
        assert next(times_after(expressions, wall)) > wall
        assert wall in list(islice(times_after(expressions, start - MICROSECOND), 3))


@pytest.mark.parametrize(
    ("nickname", "second"),
    [
        ("@hourly", "2026-01-01T02:00"),
        ("@daily", "2026-01-03T00:00"),
        ("@midnight", "2026-01-03T00:00"),
        ("@weekly", "2026-01-11T00:00"),
        ("@monthly", "2026-03-01T00:00"),
        ("@yearly", "2028-01-01T00:00"),
        ("@annually", "2028-01-01T00:00"),
        ("@Monthly", "2026-03-01T00:00"),
        ("0 9 L * *", "2026-02-28T09:00"),
        ("0 9 LW * *", "2026-02-27T09:00"),
        ("0 9 * * MON#2", "2026-02-09T09:00"),
        ("0 9 * * 5L", "2026-02-27T09:00"),
        ("*/30 * * * *", "2026-01-01T01:00"),
        ("0 0 29 2 *", "2027-02-28T00:00"),
        ("0 9 31 * *", "2026-02-28T09:00"),
        ("0 9 15-31 * *", "2026-01-16T09:00"),
        ("0 9 31 * */5", "2026-07-31T09:00"),  # the last day where it is a Sunday or Friday: a star means both fields
    ],
)
def test_expressions(nickname: str, second: str) -> None:
    expressions = calendar(nickname, True)
    assert expressions is not None
    found = list(islice(times_after(expressions, datetime(2026, 1, 1)), 2))
    assert found[1] == datetime.fromisoformat(second)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "@reboot",
        "@every 5m",
        "0 9 * *",
        "0 0 9 * * *",  # with seconds
        "60 9 * * *",
        "0 24 * * *",
        "0 9 0 * *",
        "0 9 32 * *",
        "0 9 30 2 *",
        "0 9 * 13 *",
        "0 9 * * 8",
        "0 9 5-1 * *",
        "0 9 */0 * *",
        "0 ٩ * * *",
        "H 9 * * *",
        "0 R * * *",
    ],
)
def test_what_is_no_expression(expression: str) -> None:
    assert calendar(expression, True) is None
