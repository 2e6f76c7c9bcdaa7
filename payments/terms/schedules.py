"""When a transfer is due: a schedule is data, validated once when it is made. `payments.terms.occurrences` runs it.

All its times are those of the wall clock in its zone, without an offset.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import NamedTuple

from payments.terms.wall_clock import calendar, times_after, times_until, zone_names

EXPRESSION_CHARS_MAX = 120
TIMES_MAX = 100_000
RETRIES_MAX = 10
RETRY_HOURS_MAX = 168
YEARS = range(1970, 3000)
"""Years of a schedule's times: a calendar looks 50 years ahead, and `datetime` ends at 9999."""
_JUST = timedelta(microseconds=1)


class MissedRuns(StrEnum):
    """What a call finds due after a stop."""

    EACH = "each"
    """Every occurrence that was missed, in order."""
    LAST = "last"
    """Only the last of them; the others are left out for ever."""
    NONE = "none"
    """None that is more than an hour late."""


class MonthEnd(StrEnum):
    """What a day of the month means in a month without it."""

    LAST_DAY = "last_day"
    """The month's last day, for a day named by its number: "31" is due on 28 or 29 February."""
    SKIP = "skip"
    """Nothing in that month, as cron has it."""


class Schedule(NamedTuple):
    """A transfer once at `starts`, or with `expression` as often as it says from `starts` on."""

    schedule_id: bytes
    zone: str
    """IANA name, such as Europe/Berlin."""
    starts: datetime
    expression: str | None = None
    """Five cron fields or @daily, @weekly, @monthly, @yearly …; L is a month's last day, LW its last weekday."""
    ends: datetime | None = None
    """No occurrence after it; retries may be."""
    times: int | None = None
    """No more occurrences than that; those that `MissedRuns` leaves out do not count."""
    month_end: MonthEnd = MonthEnd.LAST_DAY
    missed: MissedRuns = MissedRuns.EACH
    retries: int = 0
    """How often an occurrence is tried again that was refused for insufficient funds; 0: it is skipped."""
    retry_hours: int = 24


class ScheduleProblem(StrEnum):
    """Why a schedule can't be used."""

    ZONE_UNKNOWN = "zone_unknown"
    TIME_HAS_OFFSET = "time_has_offset"
    """Times are those of the wall clock in the schedule's zone."""
    TIME_OUT_OF_RANGE = "time_out_of_range"
    """Years must be 1970 to 2999."""
    EXPRESSION_INVALID = "expression_invalid"
    """Neither five cron fields (of at most 120 characters) nor a nickname; or a day that none of its months has."""
    ONCE_HAS_LIMITS = "once_has_limits"
    """A transfer without an expression has neither an end nor a number of times."""
    TIMES_OUT_OF_RANGE = "times_out_of_range"
    """Must be 1 to 100,000."""
    RETRIES_OUT_OF_RANGE = "retries_out_of_range"
    """Must be 0 to 10 retries, 1 to 168 hours apart."""
    NEVER_DUE = "never_due"
    """No occurrence lies between start and end (or within 50 years)."""


def schedule_problem(schedule: Schedule) -> ScheduleProblem | None:
    """The first problem of the schedule, or None: then it may be run."""
    if schedule.zone not in zone_names():
        return ScheduleProblem.ZONE_UNKNOWN
    times = [schedule.starts] if schedule.ends is None else [schedule.starts, schedule.ends]
    if any(wall.tzinfo is not None for wall in times):
        return ScheduleProblem.TIME_HAS_OFFSET
    if any(wall.year not in YEARS for wall in times):
        return ScheduleProblem.TIME_OUT_OF_RANGE
    if schedule.times is not None and not 1 <= schedule.times <= TIMES_MAX:
        return ScheduleProblem.TIMES_OUT_OF_RANGE
    if not (0 <= schedule.retries <= RETRIES_MAX and 1 <= schedule.retry_hours <= RETRY_HOURS_MAX):
        return ScheduleProblem.RETRIES_OUT_OF_RANGE
    return _calendar_problem(schedule)


def _calendar_problem(schedule: Schedule) -> ScheduleProblem | None:
    if schedule.expression is None:
        limited = schedule.ends is not None or schedule.times is not None
        return ScheduleProblem.ONCE_HAS_LIMITS if limited else None
    if len(schedule.expression) > EXPRESSION_CHARS_MAX:
        return ScheduleProblem.EXPRESSION_INVALID
    if calendar(schedule.expression, schedule.month_end is MonthEnd.LAST_DAY) is None:
        return ScheduleProblem.EXPRESSION_INVALID
    return ScheduleProblem.NEVER_DUE if next(walls_after(schedule, None), None) is None else None


def walls_after(schedule: Schedule, last: datetime | None) -> Iterator[datetime]:
    """The schedule's wall-clock times after `last` (None: from the start), upwards, however many it allows."""
    if schedule.expression is None:
        return iter(() if last is not None else (schedule.starts,))
    upwards = times_after(_calendar(schedule), schedule.starts - _JUST if last is None else last)
    return takewhile(lambda wall: schedule.ends is None or wall <= schedule.ends, upwards)


def walls_until(schedule: Schedule, limit: datetime, last: datetime | None) -> Iterator[datetime]:
    """The schedule's wall-clock times from `limit` downwards, those after `last` (None: to the start)."""
    if schedule.expression is None:
        return iter((schedule.starts,) if last is None and schedule.starts <= limit else ())
    downwards = times_until(_calendar(schedule), limit if schedule.ends is None else min(limit, schedule.ends))
    return takewhile(lambda wall: wall >= schedule.starts if last is None else wall > last, downwards)


def _calendar(schedule: Schedule) -> tuple[str, ...]:
    assert schedule.expression is not None
    expressions = calendar(schedule.expression, schedule.month_end is MonthEnd.LAST_DAY)
    assert expressions is not None, "a schedule is validated before it is run"
    return expressions
