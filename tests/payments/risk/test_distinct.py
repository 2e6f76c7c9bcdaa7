"""Distinct keys equal a list that is gone through, up to their bound; beyond it the count says so."""

from hypothesis import given
from hypothesis import strategies as st

from payments.risk.distinct import KEYS_MAX, MORE, REMEMBERED_MAX, count, is_remembered, remember, see
from payments.risk.windows import BUCKETS, DAY, SPANS, Span
from tests.payments.risk.attempts import NOON_US, STEPS_US, numbered

HOUR = SPANS[1]
UNIT_US = 300 * 10**6
OVERLAPPING = [b"AAAAAAAB", b"AAAABAAA", b"AAABAAAA", b"AAAAAAAA", b"\0" * 8, b"\0\0\0\0\0\0\0A"]
"""Keys that also occur across the border of two records."""

key_lists = st.lists(
    st.tuples(st.integers(0, 50).map(lambda n: n.to_bytes(8, "big")) | st.sampled_from(OVERLAPPING), STEPS_US),
    max_size=80,
)


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


@given(key_lists, st.sampled_from([HOUR, DAY]), STEPS_US)
def test_a_count_is_a_list_gone_through(steps: list[tuple[bytes, int]], span: Span, wait_us: int) -> None:
    time_us, times_us, seen = NOON_US, [], b""
    for key, step_us in steps:
        time_us += step_us
        times_us.append(time_us)
        seen = see(seen, key, time_us)
    numbers = numbered(times_us, UNIT_US)
    now_us = max([NOON_US, *times_us]) + wait_us
    oldest = max([now_us // UNIT_US, *numbers]) - BUCKETS * span.bucket_us // UNIT_US
    expected = len({key for (key, _), seen_at in zip(steps, numbers, strict=True) if seen_at >= oldest})
    assert count(seen, span, now_us) == (expected if expected <= KEYS_MAX else MORE)
    assert len(seen) <= 396


def test_more_than_the_bound_is_more_until_they_are_old() -> None:
    seen = b""
    for value in range(KEYS_MAX):
        seen = see(seen, number(value), NOON_US)
    assert count(seen, HOUR, NOON_US) == KEYS_MAX
    for value in range(KEYS_MAX, 3 * KEYS_MAX):
        seen = see(seen, number(value), NOON_US)
        assert count(seen, HOUR, NOON_US) == MORE
    assert count(seen, HOUR, NOON_US + HOUR.length_us) == MORE
    assert count(seen, HOUR, NOON_US + HOUR.length_us + HOUR.bucket_us) == 0
    assert count(seen, DAY, NOON_US + HOUR.length_us + HOUR.bucket_us) == MORE


def test_a_key_that_is_not_known_counts_for_nothing() -> None:
    assert see(b"", b"", NOON_US) == b""
    assert remember(b"", b"") == b""
    assert not is_remembered(b"", b"")
    assert not is_remembered(number(1), b"")


def test_a_payee_is_forgotten_after_64_others() -> None:
    remembered = b""
    for value in range(REMEMBERED_MAX + 1):
        remembered = remember(remembered, number(value))
    assert [is_remembered(remembered, number(value)) for value in (0, 1, REMEMBERED_MAX)] == [False, True, True]
    assert len(remembered) == 512


@given(st.lists(st.integers(0, 100).map(number) | st.sampled_from(OVERLAPPING), max_size=300))
def test_the_payees_of_last_are_remembered(keys: list[bytes]) -> None:
    remembered, newest_last = b"", list[bytes]()
    for key in keys:
        assert is_remembered(remembered, key) == (key in newest_last)
        remembered = remember(remembered, key)
        newest_last = [*(other for other in newest_last if other != key), key][-REMEMBERED_MAX:]
    assert remembered == b"".join(newest_last)
