"""Habits of an account: a list gone through says the same of dormancy, known payees and structuring."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.risk.activity import Attempted
from payments.risk.distinct import is_remembered
from payments.risk.signals import (
    DORMANT_DAYS_MIN,
    NO_HABITS,
    Countries,
    Habits,
    distinct_countries,
    dormant_days,
    is_just_under,
    just_under_24h,
    learn,
)
from tests.payments.risk.attempts import DAY_US, HOUR_US, KEYS, MINUTE_US, NOON_US, PAYEE, attempted


def habits_of(*facts: Attempted) -> Habits:
    habits = NO_HABITS
    for fact in facts:
        habits = learn(habits, fact)
    return habits


def model_of_dormant_days(times_us: list[int], now_us: int) -> int:
    """The pause up to now, else the pause before the newest of the last day's attempts that followed one."""
    if not times_us:
        return 0
    waiting = (now_us - times_us[-1]) // DAY_US
    pauses = [
        (later - earlier) // DAY_US
        for earlier, later in pairwise(times_us)
        if later - earlier >= DORMANT_DAYS_MIN * DAY_US and now_us - later <= DAY_US
    ]
    return waiting if waiting >= DORMANT_DAYS_MIN else (pauses[-1] if pauses else 0)


@given(
    st.lists(st.sampled_from([0, MINUTE_US, DAY_US, 29 * DAY_US, 30 * DAY_US, 90 * DAY_US]), max_size=8),
    st.sampled_from([0, DAY_US - 1, DAY_US, DAY_US + 1, 30 * DAY_US, 400 * DAY_US]),
)
def test_dormant_days_are_those_of_a_list_of_times(steps_us: list[int], wait_us: int) -> None:
    times_us = [NOON_US + sum(steps_us[: index + 1]) for index in range(len(steps_us))]
    now_us = (times_us[-1] if times_us else NOON_US) + wait_us
    habits = habits_of(*(attempted(time_us) for time_us in times_us))
    assert dormant_days(habits, now_us) == model_of_dormant_days(times_us, now_us)


def test_an_account_that_wakes_is_known_for_a_day() -> None:
    woken = habits_of(attempted(NOON_US), attempted(NOON_US + 90 * DAY_US), attempted(NOON_US + 90 * DAY_US + HOUR_US))
    assert dormant_days(woken, NOON_US + 91 * DAY_US) == 90
    assert dormant_days(woken, NOON_US + 91 * DAY_US + 1) == 0


def test_a_payee_is_known_once_money_was_reserved_for_it() -> None:
    refused = habits_of(attempted(approved=False))
    assert not is_remembered(refused.payees, PAYEE)
    assert is_remembered(learn(refused, attempted()).payees, PAYEE)


@pytest.mark.parametrize(
    ("amount_minor", "threshold_minor", "expected"),
    [
        (8_999_99, 10_000_00, False),
        (9_000_00, 10_000_00, True),
        (9_999_99, 10_000_00, True),
        (10_000_00, 10_000_00, False),
        (9_500_00, None, False),
        (9, 10, True),
        (1, 1, False),
    ],
)
def test_just_under_the_threshold(amount_minor: int, threshold_minor: int | None, expected: bool) -> None:
    assert is_just_under(amount_minor, threshold_minor) is expected


def test_payments_just_under_the_threshold_are_counted_for_a_day() -> None:
    facts = [
        Attempted(NOON_US, 9_500_00, KEYS, approved=True, just_under_threshold=True),
        Attempted(NOON_US + HOUR_US, 9_500_00, KEYS, approved=False, just_under_threshold=True),
        Attempted(NOON_US + HOUR_US, 50_00, KEYS, approved=True),
        Attempted(NOON_US + HOUR_US, 9_600_00, KEYS, approved=True, just_under_threshold=True),
    ]
    habits = habits_of(*facts)
    assert just_under_24h(habits, NOON_US + HOUR_US) == 2
    assert just_under_24h(habits, NOON_US + DAY_US) == 2
    assert just_under_24h(habits, NOON_US + DAY_US + 4 * HOUR_US) == 0


def test_countries_that_are_known_and_differ() -> None:
    assert distinct_countries(Countries()) == 0
    assert distinct_countries(Countries("DE", "DE", "", "DE")) == 1
    assert distinct_countries(Countries("DE", "FR", "", "KP")) == 3
