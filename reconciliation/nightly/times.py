"""When a night is due, and which files are late. Pure.

A night is called by its business day. An hour that a change of clocks leaves out is taken as if it were there, so that
no night is left out; one that comes twice counts when it comes first.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from reconciliation.matching.calendars import is_business_day, shifted
from reconciliation.nightly.plan import Expected, Night, Times

CATCH_UP_DAYS: Final = 366
"""A run says of every night that was missed that it has covered it; whoever was away for longer begins anew."""


class Arrived(NamedTuple):
    """A file that was imported."""

    source: str
    name: str
    at: datetime


class Missing(NamedTuple):
    """A file that was expected and has not come."""

    source: str
    name: str
    day: date
    due_at: datetime


def due_at(times: Times, day: date, at: time | None = None) -> datetime:
    """When the night of a business day begins, or what is expected until a time of it."""
    return datetime.combine(day, times.at if at is None else at, times.zone).astimezone(UTC)


def next_day(times: Times, after: date) -> date:
    """The business day after a day."""
    return shifted(after, 1, times.calendar)


def newest_due(times: Times, now: datetime) -> date:
    """The newest business day whose time has come."""
    today = now.astimezone(times.zone).date()
    if is_business_day(today, times.calendar) and due_at(times, today) <= now:
        return today
    return shifted(today, -1, times.calendar)


def due_days(times: Times, done_until: date | None, now: datetime) -> list[date]:
    """Nights that wait, the oldest first; of one that never ran, the newest."""
    newest = newest_due(times, now)
    if done_until is None:
        return [newest]
    days: list[date] = []
    day = max(done_until, shifted(newest, -CATCH_UP_DAYS, times.calendar))
    while (day := next_day(times, day)) <= newest:
        days.append(day)
    return days


def missing(night: Night, arrived: Iterable[Arrived], now: datetime) -> list[Missing]:
    """Of the business day whose deadline passed last: what has not come since the deadline before."""
    files, times = list(arrived), night.times
    found = []
    for one in night.asked.expected:
        by = time.fromisoformat(one.by)
        day = newest_due(times._replace(at=by), now)
        since, until = due_at(times, shifted(day, -1, times.calendar), by), due_at(times, day, by)
        if not _came(one, [file for file in files if file.at > since]):
            found.append(Missing(one.source, one.name, day, until))
    return found


def _came(expected: Expected, files: Sequence[Arrived]) -> bool:
    return any(file.source == expected.source and fnmatchcase(file.name, expected.name) for file in files)
