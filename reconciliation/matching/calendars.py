"""Business days by rule, not by list: TARGET (euro) and the Federal Reserve, for any year. Pure.

Sources: ECB, "TARGET closing days" (since 2002); Federal Reserve Banks, "Holiday Schedules": a holiday on a Sunday is
kept on Monday, one on a Saturday is not kept at all (the library `holidays` moves it to Friday, as offices do).
"""

from collections.abc import Callable
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

_DAY = timedelta(days=1)
_SATURDAY, _SUNDAY = 5, 6


class Calendar(StrEnum):
    """Which days count."""

    TARGET = "TARGET"
    US_FED = "US_FED"
    WEEKDAYS = "WEEKDAYS"
    EVERY_DAY = "EVERY_DAY"


def is_business_day(day: date, calendar: Calendar) -> bool:
    """Whether this calendar's banks settle on that day."""
    if calendar is Calendar.EVERY_DAY:
        return True
    return day.weekday() < _SATURDAY and day not in _holidays(day.year, calendar)


@lru_cache(maxsize=4_096)
def shifted(day: date, days: int, calendar: Calendar) -> date:
    """So many business days later, or earlier where negative; 0 is the day itself."""
    step = _DAY if days > 0 else -_DAY
    left = abs(days)
    while left:
        day += step
        left -= is_business_day(day, calendar)
    return day


@lru_cache(maxsize=4_096)
def business_days(first: date, last: date, calendar: Calendar) -> int:
    """Business days after the first until the last; negative where the last is earlier."""
    if last < first:
        return -business_days(last, first, calendar)
    return sum(is_business_day(first + n * _DAY, calendar) for n in range(1, (last - first).days + 1))


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876)."""
    golden, century, rest = year % 19, year // 100, year % 100
    moon = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    week = (32 + 2 * (century % 4) + 2 * (rest // 4) - moon - rest % 4) % 7
    late = (golden + 11 * moon + 22 * week) // 451
    month, day = divmod(moon + week - 7 * late + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=256)
def _holidays(year: int, calendar: Calendar) -> frozenset[date]:
    rule = _RULES.get(calendar)
    return frozenset(rule(year)) if rule else frozenset()


def _target(year: int) -> set[date]:
    sunday = easter(year)
    fixed = {date(year, month, day) for month, day in ((1, 1), (5, 1), (12, 25), (12, 26))}
    return fixed | {sunday - 2 * _DAY, sunday + _DAY}


def _us_fed(year: int) -> set[date]:
    fixed = [date(year, 1, 1), date(year, 7, 4), date(year, 11, 11), date(year, 12, 25)]
    if year >= 2021:
        fixed.append(date(year, 6, 19))
    mondays = {_nth(year, 1, 0, 3), _nth(year, 2, 0, 3), _nth(year, 9, 0, 1), _nth(year, 10, 0, 2)}
    memorial = max(date(year, 5, day) for day in range(25, 32) if date(year, 5, day).weekday() == 0)
    kept = {day + _DAY if day.weekday() == _SUNDAY else day for day in fixed}
    return kept | mondays | {memorial, _nth(year, 11, 3, 4)}


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + (7 * (number - 1) + (weekday - first.weekday()) % 7) * _DAY


_RULES: dict[Calendar, Callable[[int], set[date]]] = {Calendar.TARGET: _target, Calendar.US_FED: _us_fed}
