"""Limits equal a sum over the payments of the same day and month in UTC."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.risk.limits import (
    NO_LIMIT,
    NOTHING_ALLOWED,
    UNLIMITED,
    UNUSED,
    Limits,
    RiskReason,
    Usage,
    lower,
    refusals,
    remaining,
    spend,
    usage_at,
)
from payments.risk.windows import SUM_MAX

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
some_limit = st.integers(0, 500) | st.just(NO_LIMIT)
limit_sets = st.builds(Limits, some_limit, some_limit, some_limit)
payments = st.lists(st.tuples(st.datetimes(datetime(2026, 1, 30), datetime(2026, 3, 2)), st.integers(1, 300)))


def us(moment: datetime) -> int:
    return (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def used(*payments: tuple[datetime, int]) -> Usage:
    usage = UNUSED
    for moment, amount_minor in payments:
        usage = spend(usage, us(moment), amount_minor)
    return usage


@given(payments, limit_sets, st.integers(1, 300), st.timedeltas(timedelta(0), timedelta(days=40)))
def test_limits_are_sums_of_the_day_and_the_month(
    paid: list[tuple[datetime, int]], limits: Limits, amount_minor: int, wait: timedelta
) -> None:
    paid = sorted(paid)
    now = (paid[-1][0] if paid else datetime(2026, 2, 1)) + wait
    today = sum(minor for moment, minor in paid if moment.date() == now.date())
    this_month = sum(minor for moment, minor in paid if (moment.year, moment.month) == (now.year, now.month))
    usage = used(*paid)
    expected = []
    if amount_minor > limits.per_transaction_minor:
        expected.append(RiskReason.PER_TRANSACTION_LIMIT)
    if today + amount_minor > limits.daily_minor:
        expected.append(RiskReason.DAILY_LIMIT)
    if this_month + amount_minor > limits.monthly_minor:
        expected.append(RiskReason.MONTHLY_LIMIT)
    assert refusals(limits, usage, amount_minor, us(now)) == tuple(expected)
    left = remaining(limits, usage, us(now))
    assert left.daily_minor == (NO_LIMIT if limits.daily_minor == NO_LIMIT else max(limits.daily_minor - today, 0))
    assert usage_at(usage, us(now)).month_minor == this_month


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(per_transaction_minor=99), RiskReason.PER_TRANSACTION_LIMIT),
        (Limits(daily_minor=149), RiskReason.DAILY_LIMIT),
        (Limits(monthly_minor=249), RiskReason.MONTHLY_LIMIT),
    ],
)
def test_each_limit_refuses_what_is_one_minor_unit_above_it(limits: Limits, reason: RiskReason) -> None:
    usage = used((datetime(2026, 2, 1), 100), (datetime(2026, 2, 2), 50))
    now_us = us(datetime(2026, 2, 2, 23, 59, 59))
    assert refusals(limits, usage, 100, now_us) == (reason,)
    one_more = Limits(*(limit if limit == NO_LIMIT else limit + 1 for limit in limits))
    assert refusals(one_more, usage, 100, now_us) == ()


def test_a_day_ends_at_midnight_utc() -> None:
    usage = used((datetime(2026, 2, 28, 23, 59, 59), 100))
    assert refusals(Limits(daily_minor=100), usage, 1, us(datetime(2026, 2, 28, 23, 59, 59))) != ()
    assert refusals(Limits(daily_minor=100, monthly_minor=100), usage, 1, us(datetime(2026, 3, 1))) == ()


def test_what_comes_late_counts_for_the_newest_day() -> None:
    usage = used((datetime(2026, 3, 1), 100), (datetime(2026, 2, 27), 20))
    assert usage.day_minor == usage.month_minor == 120
    assert remaining(Limits(200, 200, 300), usage, us(datetime(2026, 2, 27))) == Limits(200, 80, 180)


def test_a_sum_stays_at_its_largest_and_above_every_limit() -> None:
    usage = used((datetime(2026, 3, 1), SUM_MAX), (datetime(2026, 3, 1), SUM_MAX))
    assert usage.day_minor == SUM_MAX
    assert refusals(Limits(daily_minor=SUM_MAX - 1), usage, 1, us(datetime(2026, 3, 1))) == (RiskReason.DAILY_LIMIT,)
    assert refusals(UNLIMITED, usage, 1, us(datetime(2026, 3, 1))) == ()


@given(limit_sets, limit_sets)
def test_of_two_sets_of_limits_both_hold(one: Limits, other: Limits) -> None:
    both = lower(one, other)
    for amount_minor in (1, 50, 501):
        refused = set(refusals(one, UNUSED, amount_minor, 0)) | set(refusals(other, UNUSED, amount_minor, 0))
        assert set(refusals(both, UNUSED, amount_minor, 0)) == refused
    assert lower(one, UNLIMITED) == one
    assert lower(one, NOTHING_ALLOWED) == NOTHING_ALLOWED
