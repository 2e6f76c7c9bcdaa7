"""When a delivery is tried again, when an endpoint is left alone for a while, and when it is given up.

Pure: times follow from the delivery's id and the number of the try, so what a dispatcher plans, any other would.
"""

import hashlib
from datetime import timedelta
from typing import Final

DELAYS_S: Final = (5, 60, 300, 1_800, 7_200, 18_000, 28_800, 43_200, 57_600, 72_000)
"""Before the second try, the third …: 63 h 36 min in all."""

JITTER_TENTHS_MAX: Final = 1
"""A delay is up to a tenth longer, so that what failed together is not tried together: at most 69 h 58 min in all."""

GIVEN_UP_AFTER: Final = timedelta(days=3)
"""From when a delivery was queued, however many tries were left: a paused endpoint makes few."""

BREAKER_FAILURES: Final = 5
"""Failures in a row after which an endpoint is paused, and then tried with one delivery at a time."""

PAUSE_S: Final = 60
PAUSE_MAX_S: Final = 3_600
"""The first pause, doubled by each further failure up to this: a dead endpoint costs one call an hour."""

DISABLED_AFTER: Final = timedelta(days=5)
"""Of failures without a success in between."""

_JITTER_STEPS: Final = 10_000

assert sum(DELAYS_S) * (10 + JITTER_TENTHS_MAX) < GIVEN_UP_AFTER.total_seconds() * 10


def delay_after(delivery_id: bytes, tries: int) -> timedelta | None:
    """How long to wait after so many failed tries, None where none follows."""
    if tries > len(DELAYS_S):
        return None
    digest = hashlib.sha256(delivery_id + tries.to_bytes(4, "big")).digest()
    step = int.from_bytes(digest[:8], "big") % (_JITTER_STEPS + 1)
    delay_ms = DELAYS_S[tries - 1] * 1_000
    return timedelta(milliseconds=delay_ms + delay_ms * JITTER_TENTHS_MAX * step // (10 * _JITTER_STEPS))


def pause_after(failures: int) -> timedelta | None:
    """How long an endpoint is left alone after so many failures in a row, None where it is not."""
    if failures < BREAKER_FAILURES:
        return None
    doublings = min(failures - BREAKER_FAILURES, PAUSE_MAX_S.bit_length())
    return timedelta(seconds=min(PAUSE_S << doublings, PAUSE_MAX_S))
