"""Goal: a batch continues each ledger record by record, knows the place of every entry, and refuses anything else."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.entries import Entry, EntryKind
from payments.errors import InvariantViolation
from payments.identifiers import NIL
from payments.rejections import Reason
from schemas.codec.fields import REASONS
from schemas.codec.ledger import Counter, Lane, LedgerHeader, SourceTopic, record_hash
from sinks.ledger_batch import LedgerBatch
from sinks.progress import ShardProgress
from tests.sinks.units.ledger import ALICE, BOB, CLEARING, batch_of, entry, sealed, start

PAID = entry(EntryKind.RESERVED)


def test_each_entry_knows_its_record_and_its_place_in_it() -> None:
    batch = LedgerBatch({2: start(2), 5: start(5)})
    batch.add(2, 10, sealed(start(2), [PAID] * 3))
    batch.add(5, 40, sealed(start(5), [PAID], source=SourceTopic.RETURNS))
    batch.add(2, 13, sealed(batch.after[2], [PAID] * 2, source=SourceTopic.CREDITS))
    assert {name: column.tolist() for name, column in batch.places.items()} == {
        "shard": [2, 2, 2, 5, 2, 2],
        "sequence": [0, 0, 0, 0, 1, 1],
        "offset": [10, 10, 10, 40, 13, 13],
        "source": [0, 0, 0, 2, 1, 1],
        "index": [0, 1, 2, 0, 0, 1],
    }
    assert (len(batch), batch.entry_count) == (3, 6)


@settings(max_examples=40)
@given(counts=st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_places_are_those_of_a_loop_over_the_records(counts: list[int]) -> None:
    """A record without entries is possible: it moves a lane counter alone."""
    batch = batch_of(*([PAID] * count for count in counts))
    expected = [(sequence, index) for sequence, count in enumerate(counts) for index in range(count)]
    assert list(zip(batch.places["sequence"].tolist(), batch.places["index"].tolist(), strict=True)) == expected


def test_before_and_after_hold_only_the_shards_that_moved() -> None:
    batch = LedgerBatch({shard: start(shard) for shard in range(4)})
    first = sealed(start(1), [PAID])
    batch.add(1, 7, first)
    second = sealed(batch.after[1], [PAID], source=SourceTopic.CREDITS)
    batch.add(1, 8, second)
    assert batch.before == {1: start(1)}
    assert batch.after == {1: ShardProgress(1, 9, 2, (1, 1, 0), record_hash(second))}


def test_a_record_that_was_applied_is_passed_over() -> None:
    """After a new start the client may deliver again what lies below the position."""
    applied = start()._replace(ledger_next_offset=5)
    batch = LedgerBatch({0: applied})
    batch.add(0, 4, b"not even read")
    assert len(batch) == 0
    assert batch.after == {}
    batch.add(0, 5, sealed(applied, [PAID]))
    batch.add(0, 5, b"the same offset again")
    assert len(batch) == 1


def test_a_gap_of_offsets_is_where_markers_lie_and_no_gap_of_the_ledger() -> None:
    batch = LedgerBatch({0: start()})
    batch.add(0, 3, sealed(start(), [PAID]))
    batch.add(0, 90, sealed(batch.after[0], [PAID]))
    assert batch.after[0].ledger_next_offset == 91


def test_a_record_that_cannot_be_read_names_its_place() -> None:
    batch = LedgerBatch({3: start(3)})
    with pytest.raises(InvariantViolation, match=r"ledger\.entries\[3\] offset 8: "):
        batch.add(3, 8, sealed(start(3), [PAID])[:-1])


GOOD = LedgerHeader(0, 6, b"h" * 32, SourceTopic.CREDITS, 20, 24, ())
REACHED = ShardProgress(0, 9, 6, (11, 20, 33), b"h" * 32)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"shard": 1}, r"ledger\.entries\[0\] offset 50: a record of shard 1"),
        ({"sequence": 5}, "sequence 5 where 6 follows"),
        ({"sequence": 7}, "sequence 7 where 6 follows"),
        ({"previous_hash": b"i" * 32}, "hash chain is broken before sequence 6"),
        ({"first_offset": 19}, r"19–24 of CREDITS, of which those below 20 are decided already"),
        ({"next_offset": 20}, "20–20 of CREDITS"),
        ({"source": SourceTopic.RETURNS}, "20–24 of RETURNS, of which those below 33"),
    ],
)
def test_a_record_that_does_not_continue_the_ledger_is_refused_by_name(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(InvariantViolation, match=says):
        REACHED.after(GOOD._replace(**changed), 50, b"n" * 32)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (SourceTopic.COMMANDS, (44, 20, 33)),
        (SourceTopic.CREDITS, (11, 44, 33)),
        (SourceTopic.RETURNS, (11, 20, 44)),
    ],
)
def test_only_the_input_that_was_decided_moves_on(source: SourceTopic, expected: tuple[int, int, int]) -> None:
    """Inputs may be skipped: aborted records and markers have offsets too."""
    header = GOOD._replace(source=source, first_offset=40, next_offset=44)
    assert REACHED.after(header, 50, b"n" * 32) == ShardProgress(0, 51, 7, expected, b"n" * 32)


def test_lane_counters_keep_their_last_value_and_their_own_lane() -> None:
    batch = LedgerBatch({0: start()})
    sent, received = Lane.CREDITS_SENT, Lane.CREDITS_RECEIVED
    batch.add(0, 0, sealed(start(), [], counters=(Counter(sent, 1, 4), Counter(received, 1, 9), Counter(sent, 2, 1))))
    batch.add(0, 1, sealed(batch.after[0], [], counters=(Counter(sent, 1, 6), Counter(received, 1, 9))))
    assert batch.lanes == {(0, sent, 1): 6, (0, received, 1): 9, (0, sent, 2): 1}


def test_a_lane_counter_that_runs_backwards_stops_the_sink() -> None:
    batch = LedgerBatch({0: start()})
    batch.add(0, 0, sealed(start(), [], counters=(Counter(Lane.RETURNS_SENT, 1, 4),)))
    with pytest.raises(InvariantViolation, match="runs backwards to 3"):
        batch.add(0, 1, sealed(batch.after[0], [], counters=(Counter(Lane.RETURNS_SENT, 1, 3),)))


def test_descriptions_are_found_by_their_entry_in_the_whole_batch() -> None:
    batch = batch_of([PAID] * 3, [PAID] * 2, descriptions={1: "rent", 0: "tip"})
    assert batch.descriptions == {4: "rent", 3: "tip"}


@pytest.mark.parametrize(("byte", "value"), [(0, 1), (0, 2 * len(EntryKind)), (1, 3), (1, 2 * len(REASONS)), (0, 254)])
def test_an_unknown_kind_or_reason_is_refused_and_never_shown_as_another(byte: int, value: int) -> None:
    batch = batch_of([PAID])
    forged = bytearray(batch._packed[0])
    forged[byte] = value
    batch._packed[0] = memoryview(bytes(forged))
    with pytest.raises(InvariantViolation, match="unknown kind or reason"):
        _ = batch.entries


@pytest.mark.parametrize("kind", EntryKind)
def test_every_kind_is_told_from_every_other(kind: EntryKind) -> None:
    batch = batch_of([entry(each) for each in EntryKind])
    assert np.flatnonzero(batch.is_any(kind)).tolist() == [int(kind)]
    assert batch.kinds.tolist() == [int(each) for each in EntryKind]
    others = [each for each in EntryKind if each is not kind]
    assert np.flatnonzero(~batch.is_any(*others)).tolist() == [int(kind)]


def test_reasons_are_their_place_in_the_catalogue() -> None:
    batch = batch_of([entry(EntryKind.REJECTED, reason=reason) for reason in Reason])
    assert [REASONS[index] for index in batch.reasons] == list(Reason)


def test_sides_that_are_no_customer_are_known() -> None:
    entries = [entry(EntryKind.POSTED, debit, credit) for debit, credit in ((CLEARING, ALICE), (ALICE, CLEARING))]
    batch = batch_of([*entries, entry(EntryKind.ACCOUNT_OPENED, BOB, NIL)])
    assert batch.debit_is_system.tolist() == [True, False, False]
    assert batch.credit_is_system.tolist() == [False, True, True]
    assert batch.credit_is_nil.tolist() == [False, False, True]


def test_outcomes_are_counted_per_shard_and_kind() -> None:
    batch = LedgerBatch({0: start(0), 300: start(300)})
    batch.add(300, 0, sealed(start(300), [entry(EntryKind.REPLAYED)] * 2 + [PAID]))
    batch.add(0, 0, sealed(start(0), [entry(EntryKind.REPLAYED)]))
    assert sorted(batch.outcome_counts()) == [
        (0, EntryKind.REPLAYED, 1),
        (300, EntryKind.RESERVED, 1),
        (300, EntryKind.REPLAYED, 2),
    ]


def test_a_batch_without_entries_counts_nothing() -> None:
    batch = batch_of([])
    entries: list[Entry] = list(batch.entries)
    assert entries == []
    assert batch.outcome_counts() == []
