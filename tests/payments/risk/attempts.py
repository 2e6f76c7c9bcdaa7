"""Attempts for the tests of risk, and the plain lists that windows and counts are compared with."""

from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import strategies as st

from payments.money import MAX_MINOR
from payments.risk.activity import Attempted
from payments.risk.moment import Attempt
from payments.risk.windows import BUCKETS, SPANS, Span

NOON_US = 1_795_348_800 * 10**6
"""2026-11-22 12:00:00 UTC, a Sunday."""

MINUTE_US = 60 * 10**6
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

PAYER, PAYEE, CARD, DEVICE, ADDRESS = b"payer..0", b"payee..0", b"card...0", b"device.0", b"address0"
KEYS = (PAYER, PAYEE, CARD, DEVICE, ADDRESS)
ATTEMPT = Attempt(NOON_US, 50_00, "EUR", KEYS)


def attempted(time_us: int = NOON_US, amount_minor: int = 50_00, *, approved: bool = True) -> Attempted:
    """One of the payer to the payee."""
    return Attempted(time_us, amount_minor, KEYS, approved)


class Event(NamedTuple):
    """One attempt in a list."""

    time_us: int
    amount_minor: int
    approved: bool


STEPS_US = st.one_of(
    st.sampled_from([0, 1, *(span.bucket_us for span in SPANS), *(span.length_us for span in SPANS)]),
    st.integers(-2 * DAY_US, 40 * DAY_US),
    st.integers(0, 20 * MINUTE_US),
)
"""To the next event: often equal times or the edges of buckets and windows, sometimes back."""


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """Not in order of time."""
    time_us, found = NOON_US, []
    for step_us in draw(st.lists(STEPS_US, max_size=40)):
        time_us += step_us
        found.append(Event(time_us, draw(st.integers(1, MAX_MINOR)), draw(st.booleans())))
    return found


def numbered(times_us: Iterable[int], bucket_us: int) -> list[int]:
    """Bucket in which each counts: its own, or the newest one so far where it comes late."""
    found: list[int] = []
    for time_us in times_us:
        found.append(max([time_us // bucket_us, *found[-1:]]))
    return found


def inside(listed: list[Event], span: Span, now_us: int) -> list[Event]:
    """The events that the window holds, by going through all of them."""
    numbers = numbered((event.time_us for event in listed), span.bucket_us)
    oldest = max([now_us // span.bucket_us, *numbers]) - BUCKETS
    return [event for event, number in zip(listed, numbers, strict=True) if number >= oldest]
