"""What a run states about itself is right: recoveries, silences, seeds; and the bytes of a stray write."""

import struct
from types import SimpleNamespace

import pytest

from tests.faults.__main__ import seeds_of
from tests.faults.kafka import cluster, stray_write
from tests.faults.load import Load
from tests.faults.run import recoveries
from tests.faults.scenario import Fault
from tests.faults.tail import STILL_ARRIVING_S, Tail

STEADY = [moment / 10 for moment in range(100)]
"""A record every 100 ms for 10 s."""


def tail_of(*arrivals_s: list[float]) -> Tail:
    made = Tail.__new__(Tail)
    made.arrivals_s = dict(enumerate(arrivals_s))
    return made


def without(arrivals: list[float], from_s: float, to_s: float) -> list[float]:
    return [moment for moment in arrivals if not from_s < moment < to_s]


def test_the_slowest_shard_counts() -> None:
    tail = tail_of(STEADY, without(STEADY, 3.0, 7.0), without(STEADY, 3.0, 5.0))
    assert tail.recovery_s(3.05) == pytest.approx(3.95)
    assert tail.longest_gap_s(0, 9.9) == pytest.approx(4.0)


def test_what_was_committed_before_a_fault_and_came_after_it_is_no_recovery() -> None:
    tail = tail_of([*without(STEADY, 3.0, 7.0), 3.4])
    tail.arrivals_s[0].sort()
    assert tail.recovery_s(3.2) == pytest.approx(3.8)


def test_a_shard_that_is_never_heard_of_again_has_no_recovery() -> None:
    assert tail_of([0.1, 0.2]).recovery_s(1.0) is None


def test_a_silence_at_the_end_is_a_silence() -> None:
    assert tail_of([0.1, 0.2]).longest_gap_s(0, 5) == pytest.approx(4.8)


def test_a_fault_into_a_silence_starts_its_clock_again() -> None:
    tail = tail_of(without(STEADY, 3.0, 7.0))
    faults = [Fault("first", 3.05), Fault("second", 5.0), Fault("third", 8.05)]
    second, third = recoveries([tail], faults)
    assert second == pytest.approx(2.0)
    assert third <= STILL_ARRIVING_S + 0.1  # a shard that never paused
    assert recoveries([tail], []) == []


@pytest.mark.parametrize(
    ("poisoned", "large_batches", "missing"),
    [(0, 0, ["no poison reached the log", "no large batches reached the log"]), (1, 1, [])],
)
def test_a_fault_of_the_load_that_did_not_take_place_is_missed(
    poisoned: int, large_batches: int, missing: list[str]
) -> None:
    load = Load.__new__(Load)
    load._poison_per_mille, load._large_batch_every_s = 10, 3.0
    load.poisoned, load.large_batches = poisoned, large_batches
    assert load.missing() == missing


@pytest.mark.parametrize(("text", "seeds"), [("3", [3]), ("1-4", [1, 2, 3, 4])])
def test_seeds_are_named_singly_or_from_first_to_last(text: str, seeds: list[int]) -> None:
    assert seeds_of(text) == seeds


def test_the_checksum_of_a_batch_is_crc_32c() -> None:
    assert stray_write.crc32c(b"123456789") == 0xE3069283


def test_a_stray_batch_names_its_producer_and_is_transactional() -> None:
    batch = stray_write.record_batch(77, 3, b"stray")
    _, length, _, magic, crc = struct.unpack_from(">qiibI", batch)
    attributes, _, _, _, producer_id, epoch, _, records = struct.unpack_from(">hiqqqhii", batch, 21)
    assert (length, magic, crc) == (len(batch) - 12, 2, stray_write.crc32c(batch[21:]))
    assert (attributes, producer_id, epoch, records) == (0x10, 77, 3, 1)
    assert batch.endswith(b"stray\0")


def test_a_coordinator_is_found_by_javas_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "millrace.0".hashCode() is -1081835665 in Java, as jshell says; without its sign 1065647983."""
    topic = SimpleNamespace(partitions=dict.fromkeys(range(50)))
    metadata = SimpleNamespace(topics={cluster.TRANSACTION_STATE: topic})
    client = SimpleNamespace(list_topics=lambda *_, **__: metadata)
    monkeypatch.setattr(cluster, "admin", lambda _: client)
    found = cluster.hashed_place(SimpleNamespace(), cluster.TRANSACTION_STATE, "millrace.0")  # type: ignore[arg-type]
    assert found == (cluster.TRANSACTION_STATE, 1065647983 % 50)
