"""Goal: days that banks are closed, as published; the lists are those of the ECB and of the Federal Reserve Banks."""

from datetime import date

import pytest

from reconciliation.matching.calendars import Calendar, business_days, easter, is_business_day, shifted

TARGET_2026 = ["2026-01-01", "2026-04-03", "2026-04-06", "2026-05-01", "2026-12-25"]
FED_2026 = [
    "2026-01-01", "2026-01-19", "2026-02-16", "2026-05-25", "2026-06-19",
    "2026-09-07", "2026-10-12", "2026-11-11", "2026-11-26", "2026-12-25",
]  # fmt: skip
FED_2027 = [
    "2027-01-01", "2027-01-18", "2027-02-15", "2027-05-31", "2027-07-05",
    "2027-09-06", "2027-10-11", "2027-11-11", "2027-11-25",
]  # fmt: skip


@pytest.mark.parametrize(
    ("calendar", "year", "closed"),
    [(Calendar.TARGET, 2026, TARGET_2026), (Calendar.US_FED, 2026, FED_2026), (Calendar.US_FED, 2027, FED_2027)],
)
def test_closing_days_of_a_year(calendar: Calendar, year: int, closed: list[str]) -> None:
    days = [date.fromordinal(n) for n in range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal())]
    found = [day.isoformat() for day in days if day.weekday() < 5 and not is_business_day(day, calendar)]
    assert found == closed


@pytest.mark.parametrize(
    ("year", "expected"), [(2024, date(2024, 3, 31)), (2025, date(2025, 4, 20)), (2038, date(2038, 4, 25))]
)
def test_easter(year: int, expected: date) -> None:
    assert easter(year) == expected


def test_moving_over_closed_days() -> None:
    maundy_thursday = date(2026, 4, 2)
    assert shifted(maundy_thursday, 1, Calendar.TARGET) == date(2026, 4, 7)
    assert shifted(date(2026, 4, 7), -1, Calendar.TARGET) == maundy_thursday
    assert business_days(maundy_thursday, date(2026, 4, 7), Calendar.TARGET) == 1
    assert business_days(date(2026, 4, 7), maundy_thursday, Calendar.TARGET) == -1
    assert shifted(maundy_thursday, 1, Calendar.EVERY_DAY) == date(2026, 4, 3)
    assert shifted(maundy_thursday, 1, Calendar.WEEKDAYS) == date(2026, 4, 3)
