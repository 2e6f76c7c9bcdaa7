"""Velocity windows equal a list that is gone through, at any order of times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.risk.windows import BUCKETS, COUNT_MAX, DAY, SPANS, SUM_MAX, Span, Totals, add, totals
from tests.payments.risk.attempts import NOON_US, STEPS_US, Event, events, inside

MAX_WINDOW_BYTES = 364


def window_of(listed: list[Event], span: Span) -> bytes:
    window = b""
    for time_us, amount_minor, approved in listed:
        window = add(window, span, time_us, amount_minor, approved=approved)
    return window


@given(events(), st.sampled_from(SPANS), STEPS_US)
def test_a_window_is_a_list_gone_through(listed: list[Event], span: Span, wait_us: int) -> None:
    now_us = max([NOON_US, *(event.time_us for event in listed)]) + wait_us
    held = inside(listed, span, now_us)
    approved = [event for event in held if event.approved]
    window = window_of(listed, span)
    assert totals(window, span, now_us) == Totals(
        len(held),
        len(approved),
        sum(event.amount_minor for event in held),
        sum(event.amount_minor for event in approved),
    )
    assert len(window) <= MAX_WINDOW_BYTES


@given(events(), st.sampled_from(SPANS), st.integers(0, 60 * DAY.length_us))
def test_the_last_hour_is_counted_whole_and_nothing_older_than_a_twelfth_more(
    listed: list[Event], span: Span, wait_us: int
) -> None:
    in_order = sorted(listed)
    now_us = (in_order[-1].time_us if in_order else NOON_US) + wait_us
    ages_us = [now_us - event.time_us for event in in_order]
    counted = totals(window_of(in_order, span), span, now_us).attempts
    assert sum(age_us <= span.length_us for age_us in ages_us) <= counted
    assert counted <= sum(age_us < span.length_us + span.bucket_us for age_us in ages_us)


def test_equal_times_are_counted_each() -> None:
    window = window_of([Event(NOON_US, 5, True)] * 3, DAY)
    assert totals(window, DAY, NOON_US) == Totals(3, 3, 15, 15)


def test_what_comes_late_is_counted_with_the_newest() -> None:
    """A clock that steps back must not make an attempt disappear early, or not count at all."""
    late = [Event(NOON_US, 5, True), Event(NOON_US - 2 * DAY.length_us, 7, False)]
    window = window_of(late, DAY)
    assert totals(window, DAY, NOON_US - DAY.length_us) == Totals(2, 1, 12, 5)
    assert totals(window, DAY, NOON_US + DAY.length_us) == Totals(2, 1, 12, 5)
    assert totals(window, DAY, NOON_US + DAY.length_us + DAY.bucket_us) == Totals()


def test_counts_and_sums_stay_at_their_largest() -> None:
    window = window_of([Event(NOON_US, SUM_MAX, True)] * 3, DAY)
    window = add(window, DAY, NOON_US + DAY.bucket_us, SUM_MAX, approved=True)
    assert totals(window, DAY, NOON_US) == Totals(4, 4, SUM_MAX, SUM_MAX)
    many = COUNT_MAX.to_bytes(4, "big")
    assert add(window[:-24] + many * 2 + window[-16:], DAY, NOON_US, 1, approved=True)[-24:-16] == many * 2


@pytest.mark.parametrize("span", SPANS, ids=lambda span: span.name)
def test_a_window_keeps_thirteen_buckets(span: Span) -> None:
    window = window_of([Event(NOON_US + number * span.bucket_us, 1, True) for number in range(50)], span)
    assert len(window) == MAX_WINDOW_BYTES
    assert totals(window, span, NOON_US).attempts == BUCKETS + 1
