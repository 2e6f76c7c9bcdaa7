"""Goal: order within a payment order, nothing held back between others, and nobody starves.

Method: random arrivals and endings, beside what the rule says about every start.
"""

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from connectors.lanes import PER_KEY_MAX, Lanes, Work
from tests.connectors.requests import charge

_REQUEST = charge()


def work(offset: int, key: int, order: int, shard: int = 0) -> Work:
    return Work(shard, offset, b"%d" % key, _REQUEST._replace(payment_order_id=str(order)), 0)


def started(lanes: Lanes) -> list[int]:
    found = []
    while (one := lanes.start_next()) is not None:
        found.append(one.offset)
    return found


@examples(max_examples=200)
@given(
    arriving=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=60),
    slots=st.integers(1, 8),
    choices=st.lists(st.integers(0, 10**6), min_size=60, max_size=60),
)
def test_all_start_once_in_order_and_within_bounds(
    arriving: list[tuple[int, int]], slots: int, choices: list[int]
) -> None:
    lanes = Lanes(slots)
    for offset, (key, order) in enumerate(arriving):
        lanes.add(work(offset, key, order))
    running: list[Work] = []
    begun: list[Work] = []
    for choice in [0, *choices]:
        if running:
            ended = running.pop(choice % len(running))
            lanes.end(ended)
        while (one := lanes.start_next()) is not None:
            assert one.lane not in {other.lane for other in running}, "two of one payment order at once"
            running.append(one)
            begun.append(one)
        assert len(running) <= slots
        assert all(sum(w.key == key for w in running) <= PER_KEY_MAX for key in {w.key for w in running})
    assert sorted(one.offset for one in begun) == list(range(len(arriving)))
    for lane in {one.lane for one in begun}:
        offsets = [one.offset for one in begun if one.lane == lane]
        assert offsets == sorted(offsets)


def test_an_account_with_many_slow_orders_leaves_slots_to_others() -> None:
    lanes = Lanes(32)
    for order in range(100):
        lanes.add(work(order, key=1, order=order))
    lanes.add(work(100, key=2, order=0))
    assert started(lanes) == [0, 100, 1, 2, 3]


def test_accounts_are_served_in_turn() -> None:
    lanes = Lanes(4)
    for offset in range(6):
        lanes.add(work(offset, key=offset % 2, order=offset))
    assert started(lanes) == [0, 1, 2, 3]


def test_a_request_counts_its_age_from_when_it_might_first_be_sent() -> None:
    """Or one that waits for a day would be too old to be sent when its time has come."""
    one = work(0, key=1, order=1)._replace(recorded_at_us=100)
    assert one.dated_request.first_asked_at_us == 100
    assert one._replace(request=charge(not_before_us=900)).dated_request.first_asked_at_us == 900
    assert one._replace(request=charge(not_before_us=900, first_asked_at_us=50)).dated_request.first_asked_at_us == 50


def test_what_waits_of_a_shard_that_left_is_not_started() -> None:
    lanes = Lanes(8)
    lanes.add(work(0, key=1, order=1, shard=0))
    lanes.add(work(0, key=1, order=2, shard=1))
    lanes.forget(0)
    assert [lanes.start_next(), lanes.start_next()] == [work(0, key=1, order=2, shard=1), None]
