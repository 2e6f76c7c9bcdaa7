"""Velocity windows: how many payments of one key, and how much, in the last 10 minutes, hour, day and 30 days.

Keeps, for each window, one `bytes` of packed buckets, oldest first; a bucket in which nothing happened does not exist.
Guarantees: everything of the last `length_us` is counted, and nothing older than that and one bucket (1/12 of it). Time
is event time, the broker's; what comes late counts in the newest bucket, so that nothing is forgotten too early.

Size: at most 13 buckets (12 whole ones and the running one) of 28 bytes = 364 bytes a window, 1,456 for the four.
"""

from struct import Struct
from typing import NamedTuple

BUCKETS = 12
"""Whole buckets that a window looks back: what it counts too much is at most 1/12 of its length old."""

COUNT_MAX = 2**32 - 1
"""A bucket's counts stay there: no limit is that large."""

SUM_MAX = 2**63 - 1
"""Sums of minor units stay there, the largest number of a rule; 9,223 payments of the largest amount reach it."""

_FIELDS = 5
_BUCKET = Struct(">IIIQQ")
_BYTES = _BUCKET.size
_BY_COUNT = tuple(Struct(">" + "IIIQQ" * count) for count in range(BUCKETS + 2))
"""All buckets of a window unpacked at once: 13 of them in a quarter of the time."""


class Span(NamedTuple):
    """One window: its name in the names of features, and the width of its buckets."""

    name: str
    bucket_us: int

    @property
    def length_us(self) -> int:
        return BUCKETS * self.bucket_us


SPANS = (
    Span("10m", 50 * 10**6),
    Span("1h", 300 * 10**6),
    Span("24h", 7_200 * 10**6),
    Span("30d", 216_000 * 10**6),
)
"""The place is the place in stored state: append only."""

DAY = SPANS[2]


class Totals(NamedTuple):
    """Of one window. Approvals are the attempts whose money was reserved, be it for a review."""

    attempts: int = 0
    approvals: int = 0
    attempted_minor: int = 0
    approved_minor: int = 0


APPROVALS = Totals._fields.index("approvals")
"""For `total`."""


def add(window: bytes, span: Span, time_us: int, amount_minor: int, *, approved: bool) -> bytes:
    """The window after one attempt; what has left it is dropped."""
    number = time_us // span.bucket_us
    attempts, approvals, attempted_minor, approved_minor = 1, int(approved), amount_minor, amount_minor * approved
    kept = window
    if window:
        newest, *counted = _BUCKET.unpack_from(window, len(window) - _BYTES)
        if number <= newest:
            number, kept = newest, window[:-_BYTES]
            attempts, approvals = min(attempts + counted[0], COUNT_MAX), min(approvals + counted[1], COUNT_MAX)
            attempted_minor = min(attempted_minor + counted[2], SUM_MAX)
            approved_minor = min(approved_minor + counted[3], SUM_MAX)
        kept = kept[_expired_bytes(kept, number - BUCKETS) :]
    return kept + _BUCKET.pack(number, attempts, approvals, attempted_minor, approved_minor)


def totals(window: bytes, span: Span, now_us: int) -> Totals:
    """What the window holds now."""
    buckets = inside(window, span, now_us)
    return Totals(*(total(buckets, index) for index in range(len(Totals._fields))))


def total(buckets: tuple[int, ...], index: int) -> int:
    """One of the Totals, by its index, of what `inside` gave."""
    return min(sum(buckets[index + 1 :: _FIELDS]), SUM_MAX)


def inside(window: bytes, span: Span, now_us: int) -> tuple[int, ...]:
    """The fields of all buckets that the window holds now, one after the other.

    A now before the newest attempt is as good as its time: `add` has dropped what was too old then.
    """
    buckets = _BY_COUNT[len(window) // _BYTES].unpack(window)
    oldest, expired = now_us // span.bucket_us - BUCKETS, 0
    while expired < len(buckets) and buckets[expired] < oldest:
        expired += _FIELDS
    return buckets[expired:]


def _expired_bytes(window: bytes, oldest: int) -> int:
    at = 0
    while at < len(window) and _BUCKET.unpack_from(window, at)[0] < oldest:
        at += _BYTES
    return at
