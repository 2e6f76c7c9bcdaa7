"""Goal: nothing is told before what it follows from, and nothing waits for ever.

Method: the real records of a script in which everything happens, handed to the order in every way in which three shards
can be read, or at random.
"""

import base64
import random
from collections.abc import Iterable
from itertools import permutations

import pytest

from payments.errors import InvariantViolation, UndecodableRecord
from payments.events.event import Event
from schemas import wire
from schemas.codec.ledger import decode_ledger_record
from streams.publish.order import MAX_SHARDS, CausalOrder, Waiting
from streams.publish.told import told_of
from tests.sinks.every_kind import SHARDS
from tests.streams.publish.script import expected, ledger, out_of_order


def waiting(shard: int, offset: int) -> Waiting:
    value = ledger()[shard][offset]
    return Waiting(offset, decode_ledger_record(value), len(value))


def told(released: Iterable[Waiting]) -> list[Event]:
    return [event for each in released for _, event in told_of(each.record)]


def read_as(shards: Iterable[int]) -> list[Event]:
    """What is told when records are read in this order of shards, each as often as it has records."""
    order, offsets, events = CausalOrder(SHARDS), dict.fromkeys(range(SHARDS), 0), []
    for shard in shards:
        order.add(waiting(shard, offsets[shard]))
        offsets[shard] += 1
        events += told(order.released())
    assert set(order.waiting_bytes.values()) == {0}
    return events


def test_read_one_after_the_other_the_script_would_be_told_in_the_wrong_order() -> None:
    """The mistake that the order prevents does happen."""
    as_read = [waiting(shard, offset) for shard in range(SHARDS) for offset in range(len(ledger()[shard]))]
    assert out_of_order(told(as_read))


@pytest.mark.parametrize("shards", [*permutations(range(SHARDS))], ids=str)
def test_a_shard_that_is_read_first_waits_for_the_others(shards: tuple[int, ...]) -> None:
    events = read_as(shard for shard in shards for _ in ledger()[shard])
    assert out_of_order(events) == []
    assert len(events) == len(expected())


@pytest.mark.parametrize("seed", range(20))
def test_any_interleaving_is_told_in_order(seed: int) -> None:
    shards = [shard for shard in ledger() for _ in ledger()[shard]]
    random.Random(seed).shuffle(shards)
    assert out_of_order(read_as(shards)) == []


@pytest.mark.parametrize("seed", range(10))
def test_an_heir_goes_on_where_the_one_before_stood(seed: int) -> None:
    """At any place: it knows the marks and offsets of what was told, and reads everything behind them again."""
    chance = random.Random(seed)
    shards = [shard for shard in ledger() for _ in ledger()[shard]]
    chance.shuffle(shards)
    first, read, told_up_to, events = CausalOrder(SHARDS), [0] * SHARDS, [0] * SHARDS, []
    for shard in shards[: chance.randrange(len(shards))]:
        first.add(waiting(shard, read[shard]))
        read[shard] += 1
        for each in first.released():
            told_up_to[each.record.header.shard] = each.offset + 1
            events += told([each])
    heir = CausalOrder(SHARDS)
    for shard in range(SHARDS):
        heir.resume(shard, first.mark_of(shard))
    for shard in reversed(range(SHARDS)):
        for offset in range(told_up_to[shard], len(ledger()[shard])):
            heir.add(waiting(shard, offset))
            events += told(heir.released())
    assert len(events) == len(expected())
    assert out_of_order(events) == []


def test_marks_of_another_number_of_shards_are_refused() -> None:
    with pytest.raises(ValueError, match="behind the marks of 2 shards"):
        CausalOrder(2).resume(0, CausalOrder(3).mark_of(0))
    with pytest.raises(UndecodableRecord):
        CausalOrder(4).resume(0, CausalOrder(3).mark_of(0))


def test_the_marks_of_the_most_shards_fit_beside_an_offset() -> None:
    order = CausalOrder(MAX_SHARDS)
    every = base64.b64encode(wire.write_long(10**12) * 2 * MAX_SHARDS).decode()
    order.resume(0, every)
    assert order.mark_of(0) == every
    assert len(every) <= 4_096


def test_a_gap_in_the_ledger_stops_the_publisher() -> None:
    order = CausalOrder(SHARDS)
    order.add(waiting(0, 3))
    with pytest.raises(InvariantViolation, match="ledger record 5 where 4 is the next"):
        order.add(waiting(0, 5))
