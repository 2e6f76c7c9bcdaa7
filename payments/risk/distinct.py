"""Which keys were seen: in the last 24 hours (how many different ones), or ever (is this one new).

Keys are 8-byte hashes, so that neither a card token nor an address stands in any state. Both kinds of memory are one
`bytes` each, ordered by when a key was last seen, and bounded by forgetting the keys not seen for the longest.

Counts are exact up to KEYS_MAX. One key more is kept than that: as long as all of them are inside the window there are
more than KEYS_MAX, and the count is MORE, which no rule takes for a small number. Size: 33 × 12 = 396 bytes.
"""

from bisect import bisect_left
from struct import Struct

from payments.risk.windows import BUCKETS, DAY, Span

KEY_BYTES = 8
KEYS_MAX = 32
"""A rule about different cards or payees compares with 3 or 10; more than 32 in a day is many by any rule."""

MORE = 1_000_000
"""The count of more than KEYS_MAX different keys: above whatever a rule compares with."""

REMEMBERED_MAX = 64
"""Payees that an account remembers, 512 bytes; one not paid for longer than 64 others is new again."""

_SEEN = Struct(">8sI")
_BYTES = _SEEN.size
_TIMES = tuple(Struct(">" + "8xI" * keys) for keys in range(KEYS_MAX + 2))
"""When each of so many keys was last seen, unpacked at once."""

_UNIT_US = 300 * 10**6
"""When a key was last seen is kept to five minutes: exact enough for an hour in 12 buckets."""


def see(seen: bytes, key: bytes, time_us: int) -> bytes:
    """The keys of the last 24 hours after this one; an empty key is none."""
    if not key:
        return seen
    number = time_us // _UNIT_US
    if seen:
        at = _find(seen, key, _BYTES)
        times = _times(seen)
        number = max(number, times[-1])
        if at >= 0:
            seen = seen[:at] + seen[at + _BYTES :]
            times = _times(seen)
        seen = seen[max(_outside(times, number, DAY), len(times) - KEYS_MAX) * _BYTES :]
    return seen + _SEEN.pack(key, number)


def count(seen: bytes, span: Span, now_us: int) -> int:
    """Different keys in the window (1 h or 24 h): exact up to KEYS_MAX, MORE above it."""
    if not seen:
        return 0
    times = _times(seen)
    inside = len(times) - _outside(times, max(now_us // _UNIT_US, times[-1]), span)
    return inside if inside <= KEYS_MAX else MORE


def remember(remembered: bytes, key: bytes) -> bytes:
    """The keys after this one, which is now the newest; an empty key is none."""
    if not key:
        return remembered
    at = _find(remembered, key, KEY_BYTES)
    if at >= 0:
        remembered = remembered[:at] + remembered[at + KEY_BYTES :]
    return remembered[-KEY_BYTES * (REMEMBERED_MAX - 1) :] + key


def is_remembered(remembered: bytes, key: bytes) -> bool:
    """True where the key is one of the remembered ones."""
    return bool(key) and _find(remembered, key, KEY_BYTES) >= 0


def _times(seen: bytes) -> tuple[int, ...]:
    return _TIMES[len(seen) // _BYTES].unpack(seen)


def _outside(times: tuple[int, ...], number: int, span: Span) -> int:
    """How many, from the oldest on, have left the window."""
    return bisect_left(times, number - BUCKETS * span.bucket_us // _UNIT_US)


def _find(records: bytes, key: bytes, width: int) -> int:
    """Where the record of this key begins, -1 where there is none; bytes that run across two records do not count."""
    at = records.find(key)
    while at > 0 and at % width:
        at = records.find(key, at + 1)
    return at
