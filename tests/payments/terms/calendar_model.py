"""A slow, obvious calendar: tries every day and reads every clock. Shares no code with payments.terms."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


@dataclass(frozen=True)
class Fields:
    """The five fields of an expression as sets; None where a field is `*`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int] | None
    weekdays: frozenset[int] | None

    @property
    def expression(self) -> str:
        sets = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        return " ".join("*" if values is None else ",".join(map(str, sorted(values))) for values in sets)

    def walls(self, first: date, days: int, month_end_counts: bool) -> list[datetime]:
        """Every wall-clock time of so many days, in order."""
        return [
            datetime.combine(day, time(hour, minute))
            for day in (first + timedelta(days=number) for number in range(days))
            if self._has(day, month_end_counts)
            for hour in sorted(self.hours)
            for minute in sorted(self.minutes)
        ]

    def _has(self, day: date, month_end_counts: bool) -> bool:
        if self.months is not None and day.month not in self.months:
            return False
        by_weekday = self.weekdays is not None and (day.weekday() + 1) % 7 in self.weekdays
        if self.days is None:
            return by_weekday or self.weekdays is None
        is_last = (day + timedelta(days=1)).day == 1
        clipped = month_end_counts and is_last and max(self.days) > day.day
        return day.day in self.days or clipped or by_weekday


def first_shown(zone: ZoneInfo, wall: datetime) -> datetime:
    """The first minute at which a clock of the zone shows this time or a later one, by looking at it every minute."""
    at = wall.replace(tzinfo=UTC) - timedelta(hours=zone_ahead(zone, wall) + 1)
    while at.astimezone(zone).replace(tzinfo=None) < wall:
        at += timedelta(minutes=1)
    return at


def zone_ahead(zone: ZoneInfo, wall: datetime) -> int:
    """Hours that the zone is ahead of UTC at most, a day before or after."""
    days = (wall + timedelta(days=number) for number in (-2, 0, 2))
    offsets = (day.replace(tzinfo=zone).utcoffset() or timedelta(0) for day in days)
    return max(offsets) // timedelta(hours=1) + 1


def shown_us(zone: ZoneInfo, wall: datetime) -> int:
    return (first_shown(zone, wall) - EPOCH) // timedelta(microseconds=1)


def clock_change_us(zone: ZoneInfo, start_us: int) -> int:
    """The hour of the three days from `start_us` in which the zone's clocks change, or the start where they don't."""
    hours = [start_us + hour * HOUR_US for hour in range(3 * 24)]
    offsets = [(EPOCH + timedelta(microseconds=at_us)).astimezone(zone).utcoffset() for at_us in hours]
    return next((at_us for at_us, offset in zip(hours, offsets, strict=True) if offset != offsets[0]), start_us)


def subsets(low: int, high: int, size_max: int) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(low, high), min_size=1, max_size=size_max)


fields = st.builds(
    Fields,
    minutes=subsets(0, 59, 2),
    hours=subsets(0, 23, 2),
    days=st.none() | subsets(1, 31, 4) | subsets(28, 31, 3),
    months=st.none() | subsets(1, 12, 6),
    weekdays=st.none() | subsets(0, 6, 3),
)

CHANGES = (
    ("Europe/Berlin", date(2026, 3, 29)),  # 02:00 → 03:00
    ("Europe/Berlin", date(2026, 10, 25)),  # 03:00 → 02:00
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Pacific/Apia", date(2011, 12, 30)),  # a day that never was
    ("Africa/Casablanca", date(2026, 2, 15)),  # winter time in Ramadan
    ("America/St_Johns", date(2006, 10, 29)),  # one minute past midnight: the doubled hour lies in two days
    ("Asia/Kathmandu", date(2026, 1, 1)),  # +05:45, never changes
    ("Europe/Berlin", date(2040, 3, 25)),  # beyond the table, by its rule
)


def around_changes() -> Iterator[tuple[str, date]]:
    """Zones and days whose clocks are worth a look, from two days before the change."""
    return ((name, day - timedelta(days=2)) for name, day in CHANGES)
