"""Goal: whatever ends in whatever order, and wherever the process dies, each offset is done once.

Method: a window is driven at random beside an obvious model (two sets), and restored from what it would have committed.
"""

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from connectors.window import WINDOW_OFFSETS, Window

OFFSET_METADATA_MAX = 4_096
"""The broker's default for `offset.metadata.max.bytes`."""


@examples(max_examples=300)
@given(
    base=st.integers(0, 10**12),
    gaps=st.lists(st.integers(1, 4), min_size=1, max_size=80),
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6)), max_size=200),
)
def test_every_offset_is_done_once_over_any_crashes(base: int, gaps: list[int], steps: list[tuple[int, int]]) -> None:
    offsets = [base + sum(gaps[:place]) for place in range(len(gaps))]
    done: set[int] = set()
    under_way: list[int] = []
    window, committed, position = Window(base), Window(base), 0
    for step, choice in steps:
        if step in (0, 1) and position < len(offsets):  # read the next record
            offset = offsets[position]
            position += 1
            assert window.take(offset) == (offset not in done)
            if offset not in done:
                under_way.append(offset)
        elif step == 2 and under_way:  # one ends, and is committed
            offset = under_way.pop(choice % len(under_way))
            window.finish(offset)
            done.add(offset)
            committed = Window(window.position, window.metadata)
        elif step == 3:  # crash
            window = Window(committed.position, committed.metadata)
            position = next((i for i, o in enumerate(offsets) if o >= window.position), len(offsets))
            under_way = []
    undone = [offset for offset in offsets if offset not in done]
    last = Window(window.position, window.metadata)
    assert [o for o in offsets if o >= last.position and last.take(o)] == [o for o in undone if o >= last.position]
    assert not [offset for offset in undone if offset < last.position], "an undone request would never be read again"


def test_the_map_of_a_full_window_fits_an_offset_s_metadata() -> None:
    window = Window(0)
    for offset in range(WINDOW_OFFSETS + 499):
        window.take(offset)
        if offset:
            window.finish(offset)
    assert window.is_full
    assert len(window.metadata) <= OFFSET_METADATA_MAX // 4


def test_the_end_of_the_log_moves_a_window_without_work_behind_the_markers() -> None:
    window = Window(5)
    assert [window.take(5), window.skip_to(7), window.skip_to(7), window.skip_to(6)] == [True, True, False, False]
    assert window.position == 5
    window.finish(5)
    assert (window.position, window.metadata) == (7, "")


def test_an_offset_seen_twice_is_taken_once() -> None:
    window = Window(5)
    assert [window.take(offset) for offset in (5, 5, 7, 6)] == [True, False, True, False]


def test_metadata_of_somebody_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"base64|Incorrect padding|Only base64"):
        Window(0, "not ours!")
