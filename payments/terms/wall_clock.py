"""Wall-clock times of a named zone: which instant they are, and which of them a cron expression means.

Calendars are walked on the wall clock, which has neither gaps nor repeats, so no change of summer time makes an
occurrence come twice or not at all. Only then is a wall-clock time given its instant.
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from importlib import resources
from itertools import groupby
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

WALL_EPOCH = datetime(1970, 1, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)

_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_SHORTEST = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Days that each month always has."""


@cache
def zone_names() -> frozenset[str]:
    """Every zone of the `tzdata` package."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("ascii").split())


@cache  # one for each of the 600 names
def zone_of(name: str) -> ZoneInfo:
    """A zone by one of `zone_names`, from the `tzdata` package and not from the machine: all workers see the same."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def instant_us(zone: tzinfo, wall: datetime) -> int:
    """Microseconds since 1970 (UTC) of a wall-clock time; never decreases as the wall-clock time grows.

    A time in a skipped hour is the instant at which the skip ends; a time in a doubled hour is the first of the two.
    """
    before, after = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))  # its offset before and after a change
    instant = _microseconds(before - _EPOCH)
    if _offset(before) >= _offset(after):
        return instant
    earliest = _microseconds(after - _EPOCH)
    return earliest + bisect_left(
        range(instant - earliest), True, key=lambda later: _offset(_local(zone, earliest + later)) == _offset(after)
    )


def wall_limit(zone: tzinfo, now_us: int) -> datetime:
    """No wall-clock time above this one was reached: what the clock shows, in a doubled hour later by the overlap."""
    local = _local(zone, now_us)
    return local.replace(tzinfo=None) + (_offset(local.replace(fold=0)) - _offset(local.replace(fold=1)))


def _local(zone: tzinfo, at_us: int) -> datetime:
    return (_EPOCH + at_us * _MICROSECOND).astimezone(zone)


def _offset(local: datetime) -> timedelta:
    offset = local.utcoffset()
    assert offset is not None
    return offset


def _microseconds(duration: timedelta) -> int:
    return duration // _MICROSECOND


@lru_cache(maxsize=1024)  # × about 300 bytes: expressions are short, see payments.terms.schedules
def calendar(expression: str, month_end_counts: bool) -> tuple[str, ...] | None:
    """The five-field expressions whose times together are those of this one; None where it is not valid.

    Where the month's end counts, a day named by its number is the last day of a month that does not have it.
    """
    plain = _NICKNAMES.get(expression.lower(), expression)
    if len(plain.split()) != 5:
        return None
    try:
        months = CronSim(plain, WALL_EPOCH).months
    except CronSimError:
        return None
    minute, hour, days, _, day_of_week = plain.split()
    longest = max((int(day) for day in days.split(",") if day.isdecimal()), default=0)
    short = [str(month) for month in sorted(months) if longest > _SHORTEST[month - 1]]
    if not (month_end_counts and short):
        return (plain,)
    return (plain, f"{minute} {hour} L {','.join(short)} {day_of_week}")


def times_after(expressions: tuple[str, ...], wall: datetime) -> Iterator[datetime]:
    """Wall-clock times of a calendar after the given one, upwards; ends where none follows within 50 years."""
    return _distinct(heapq.merge(*(CronSim(plain, wall) for plain in expressions)))


def times_until(expressions: tuple[str, ...], wall: datetime) -> Iterator[datetime]:
    """Wall-clock times of a calendar up to the given one and including it, downwards."""
    above = wall.replace(microsecond=0) + _SECOND
    return _distinct(heapq.merge(*(CronSim(plain, above, reverse=True) for plain in expressions), reverse=True))


def _distinct(times: Iterator[datetime]) -> Iterator[datetime]:
    return (wall for wall, _ in groupby(times))
