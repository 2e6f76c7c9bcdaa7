"""How old a break is, in business days, and by when somebody has to have dealt with it. Pure."""

from datetime import date, timedelta
from typing import Final, NamedTuple

from reconciliation.matching.breaks import BreakType
from reconciliation.matching.calendars import Calendar, business_days, shifted
from reconciliation.runs.rules import BreakRules

_DAY: Final = timedelta(days=1)


class Bucket(NamedTuple):
    """Ages from `first` to `last` business days, both included; the oldest bucket has no end."""

    name: str
    first: int
    last: int | None


BUCKETS: Final = (
    Bucket("0-1", 0, 1),
    Bucket("2-3", 2, 3),
    Bucket("4-7", 4, 7),
    Bucket("8-30", 8, 30),
    Bucket("31-60", 31, 60),
    Bucket("61-90", 61, 90),
    Bucket(">90", 91, None),
)


def age_days(day: date, today: date, calendar: Calendar) -> int:
    """Business days since the day of its oldest line; what is dated in the future is new."""
    return max(business_days(day, today, calendar), 0)


def bucket_of(age: int) -> Bucket:
    """Where so many business days belong."""
    return next(bucket for bucket in BUCKETS if bucket.last is None or age <= bucket.last)


def days_of(bucket: Bucket, today: date, calendar: Calendar) -> tuple[date | None, date | None]:
    """The oldest and the youngest day of breaks of a bucket; None where there is no end to it."""
    # The n-th business day back, today included, is so many before tomorrow, whether today is one or not.
    tomorrow = today + _DAY
    oldest = None if bucket.last is None else shifted(tomorrow, -bucket.last - 1, calendar)
    youngest = shifted(tomorrow, -bucket.first, calendar) - _DAY if bucket.first else None
    return oldest, youngest


def due_on(opened: date, type_: BreakType, rules: BreakRules, calendar: Calendar) -> date:
    """The last business day within its SLA."""
    return shifted(opened, rules.sla_days.get(type_, rules.sla_days_default), calendar)
