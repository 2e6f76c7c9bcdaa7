"""Schedules: each problem has its name, and a valid schedule has at least one occurrence."""

from datetime import UTC, datetime, timedelta

import pytest

from payments.terms.occurrences import Progress, next_due_us
from payments.terms.schedules import MonthEnd, Schedule, ScheduleProblem, schedule_problem
from tests.payments.terms.calendar_model import EPOCH

START = datetime(2026, 1, 31, 9)
MONTHLY = Schedule(bytes(16), "Europe/Berlin", START, "0 9 31 * *")
ONCE = MONTHLY._replace(expression=None)


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        (MONTHLY, None),
        (ONCE, None),
        (MONTHLY._replace(zone="Europe/Bonn"), ScheduleProblem.ZONE_UNKNOWN),
        (MONTHLY._replace(zone="../zones"), ScheduleProblem.ZONE_UNKNOWN),
        (MONTHLY._replace(zone=""), ScheduleProblem.ZONE_UNKNOWN),
        (MONTHLY._replace(starts=START.replace(tzinfo=UTC)), ScheduleProblem.TIME_HAS_OFFSET),
        (MONTHLY._replace(ends=START.replace(tzinfo=UTC)), ScheduleProblem.TIME_HAS_OFFSET),
        (MONTHLY._replace(starts=datetime(1969, 12, 31)), ScheduleProblem.TIME_OUT_OF_RANGE),
        (MONTHLY._replace(starts=datetime(1970, 1, 1)), None),
        (MONTHLY._replace(ends=datetime(3000, 1, 1)), ScheduleProblem.TIME_OUT_OF_RANGE),
        (MONTHLY._replace(starts=datetime(2999, 12, 31), ends=datetime(2999, 12, 31, 10)), None),
        (MONTHLY._replace(expression="monthly"), ScheduleProblem.EXPRESSION_INVALID),
        (MONTHLY._replace(expression="0 9 " + "1," * 55 + "11 * *"), None),  # 120 characters
        (MONTHLY._replace(expression="00 9 " + "1," * 55 + "11 * *"), ScheduleProblem.EXPRESSION_INVALID),
        (ONCE._replace(ends=START), ScheduleProblem.ONCE_HAS_LIMITS),
        (ONCE._replace(times=1), ScheduleProblem.ONCE_HAS_LIMITS),
        (MONTHLY._replace(times=0), ScheduleProblem.TIMES_OUT_OF_RANGE),
        (MONTHLY._replace(times=1), None),
        (MONTHLY._replace(times=100_000), None),
        (MONTHLY._replace(times=100_001), ScheduleProblem.TIMES_OUT_OF_RANGE),
        (MONTHLY._replace(retries=-1), ScheduleProblem.RETRIES_OUT_OF_RANGE),
        (MONTHLY._replace(retries=10, retry_hours=168), None),
        (MONTHLY._replace(retries=11), ScheduleProblem.RETRIES_OUT_OF_RANGE),
        (MONTHLY._replace(retry_hours=0), ScheduleProblem.RETRIES_OUT_OF_RANGE),
        (MONTHLY._replace(retry_hours=169), ScheduleProblem.RETRIES_OUT_OF_RANGE),
        (MONTHLY._replace(ends=START), None),
        (MONTHLY._replace(ends=START - timedelta(minutes=1)), ScheduleProblem.NEVER_DUE),
        (MONTHLY._replace(expression="0 0 */20 * 1L"), ScheduleProblem.NEVER_DUE),  # 1st, 21st: never the last Monday
        (MONTHLY._replace(month_end=MonthEnd.SKIP, starts=datetime(2026, 2, 1), ends=datetime(2026, 3, 1)),
         ScheduleProblem.NEVER_DUE),
        (MONTHLY._replace(starts=datetime(2026, 2, 1), ends=datetime(2026, 3, 1)), None),
    ],
)  # fmt: skip
def test_problems_of_a_schedule(schedule: Schedule, problem: ScheduleProblem | None) -> None:
    assert schedule_problem(schedule) is problem
    if problem is None:
        first_us = next_due_us(schedule, Progress())
        assert first_us is not None
        assert EPOCH + timedelta(microseconds=first_us) >= schedule.starts.replace(tzinfo=UTC) - timedelta(hours=2)
