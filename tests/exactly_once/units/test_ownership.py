"""Goal: a shard is owned whole, restored before it is read, forgotten for nothing, and given up only after its commit.

Method: the rebalance callbacks themselves, over a group consumer that is scripted.
"""

import struct
from collections.abc import Collection
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.exactly_once import membership as under_test
from runtime.exactly_once import restore
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.membership import Membership, once_coordinated, parse_group_metadata
from runtime.settings import Settings
from tests.exactly_once.units.scripted import CHANGELOG, INPUT, Consumer, Record, Store

BACK = "back"
"""A second input topic, partitioned like the first."""


class Group:
    """One member with a scripted consumer; notes what its owner hears."""

    def __init__(self, store: Store, **options: Any) -> None:
        self.client = Consumer()
        self.store = store
        self.heard: list[tuple[str, object]] = []
        self.member = Membership("app", store, Settings(**options), Failpoints(""))
        self.member.on_assigned = lambda held: self.heard.append(("assigned", sorted(held)))
        self.member.on_revoked = lambda gone: self.heard.append(("revoked", sorted(gone)))
        self.member.before_revoke = lambda: self.heard.append(("commit", sorted(self.member.epochs)))
        self.subscribed: dict[str, Any] = {}

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.subscribed = {"topics": topics, **callbacks}

    def assign(self, *shards: int, topics: Collection[str] | None = None) -> None:
        inputs = self.store.input_topics if topics is None else topics
        for shard in shards:
            for topic in inputs:
                self.client.marks.setdefault((topic, shard), (0, 100))
            self.client.marks.setdefault((CHANGELOG, shard), (0, 0))
        partitions = [TopicPartition(topic, shard) for topic in inputs for shard in shards]
        self.subscribed["on_assign"](self.client, partitions)

    def revoke(self, *shards: int) -> None:
        partitions = [TopicPartition(topic, shard) for topic in self.store.input_topics for shard in shards]
        self.subscribed["on_revoke"](self.client, partitions)

    @property
    def restored(self) -> list[object]:
        return [shard for call, shard in self.store.calls if call == "restore"]


def joined(patch: pytest.MonkeyPatch, store: Store | None = None, **options: Any) -> Group:
    group = Group(store or Store({shard: {INPUT: 7} for shard in range(4)}), **options)
    group.client.offsets = {(topic, shard): 7 for topic in group.store.input_topics for shard in range(4)}
    client: Any = group.client
    client.subscribe = group.subscribe
    patch.setattr(under_test, "Consumer", lambda _: client)
    patch.setattr(restore, "Consumer", lambda _: client)
    group.member.join()
    return group


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, crashes: list[str]) -> Group:
    return joined(monkeypatch)


def test_an_assigned_shard_is_restored_and_then_read_from_what_it_has_decided(group: Group) -> None:
    group.assign(0, 2)
    assert group.restored == [0, 2]
    assert group.client.assigned == [("assign", [(INPUT, 0, 7), (INPUT, 2, 7)])]
    assert group.member.positions == {(INPUT, 0): 7, (INPUT, 2): 7}
    assert group.heard == [("assigned", [(INPUT, 0), (INPUT, 2)])]


def test_no_two_ownerships_have_the_same_epoch(group: Group) -> None:
    """A cycle is refused where a partition left and came back: it must not look as if it had stayed."""
    seen: list[int] = []
    for _ in range(3):
        group.assign(0, 1)
        seen += group.member.epochs.values()
        group.revoke(0, 1)
    assert len(set(seen)) == 6


def test_what_is_decided_is_committed_while_the_partitions_are_still_ours(group: Group) -> None:
    group.assign(0, 1)
    group.heard.clear()
    group.revoke(1)
    assert group.heard == [("commit", [(INPUT, 0), (INPUT, 1)]), ("revoked", [(INPUT, 1)])]
    assert set(group.member.epochs) == set(group.member.positions) == {(INPUT, 0)}


def test_a_shard_that_comes_back_unchanged_is_not_restored_again(group: Group) -> None:
    group.assign(0, 1)
    group.revoke(0, 1)
    group.assign(0, 1)
    assert group.restored == [0, 1]


def test_a_shard_that_this_worker_advanced_itself_is_not_restored_again(group: Group) -> None:
    group.assign(0)
    group.member.committed_up_to({(INPUT, 0): 12})
    group.client.offsets[INPUT, 0] = 12
    group.revoke(0)
    group.assign(0)
    assert group.restored == [0]
    assert group.member.positions == {(INPUT, 0): 12}


def test_a_shard_that_somebody_else_advanced_is_restored(group: Group) -> None:
    group.assign(0)
    group.revoke(0)
    group.client.offsets[INPUT, 0] = 9
    group.store._decided = {0: {INPUT: 9}}
    group.assign(0)
    assert group.restored == [0, 0]
    assert group.member.positions == {(INPUT, 0): 9}


def test_an_empty_assignment_is_one(group: Group) -> None:
    """More workers than shards: the group says so with an empty list."""
    group.assign()
    assert group.client.assigned == [("assign", [])]
    assert group.heard == [("assigned", [])]


@pytest.mark.parametrize(("protocol", "kind"), [("classic", "assign"), ("consumer", "incremental")])
def test_each_protocol_is_told_in_its_own_way(
    monkeypatch: pytest.MonkeyPatch, crashes: list[str], protocol: str, kind: str
) -> None:
    group = joined(monkeypatch, group_protocol=protocol)
    group.assign(0)
    group.assign(1)
    assert [call for call, _ in group.client.assigned] == [kind, kind]
    assert group.heard[-1] == ("assigned", [(INPUT, 0), (INPUT, 1)]), "all that is held, not what is new"


def test_a_shard_of_several_topics_is_taken_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, crashes: list[str]
) -> None:
    group = joined(monkeypatch, Store({0: {INPUT: 7, BACK: 7}}, inputs=(INPUT, BACK)))
    with pytest.raises(SystemExit):
        group.assign(0, topics=[INPUT])
    assert "shards [0] are incomplete" in crashes[0]
    assert group.client.assigned == []


def test_all_topics_of_a_shard_are_taken_together(monkeypatch: pytest.MonkeyPatch, crashes: list[str]) -> None:
    group = joined(monkeypatch, Store({0: {INPUT: 7, BACK: 7}}, inputs=(INPUT, BACK)))
    group.assign(0)
    assert group.client.assigned == [("assign", [(INPUT, 0, 7), (BACK, 0, 7)])]


def test_a_failure_inside_a_callback_ends_the_process_with_the_partitions(group: Group, crashes: list[str]) -> None:
    """It would surface at some later poll, with the partitions half taken."""
    group.store._decided = {0: {INPUT: 8}}
    with pytest.raises(SystemExit):
        group.assign(0)
    assert crashes[0].startswith(f"assign of {INPUT}[0]: ")
    assert "they move in one transaction" in crashes[0]


def test_an_offset_that_could_not_be_read_is_no_missing_offset(
    group: Group, crashes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for “none”, it would be decided from the beginning."""

    class Found:
        topic, partition, offset = INPUT, 0, -1001
        error = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)

    monkeypatch.setattr(group.client, "committed", lambda *_: [Found()])
    with pytest.raises(SystemExit):
        group.assign(0)
    assert group.restored == []
    assert crashes[0].startswith("assign of ")


def test_a_poll_takes_what_is_there_and_asks_for_the_rest_without_waiting(group: Group) -> None:
    group.client.first = Record(0)
    group.client.batches = [[Record(1), Record(2)]]
    assert [record.offset() for record in group.member.poll(0.1, 10)] == [0, 1, 2]
    assert group.client.waits == [("poll", 0.1), ("consume", 0)]


def test_a_poll_that_finds_nothing_asks_no_further(group: Group) -> None:
    group.client.batches = [[Record(1)]]
    assert group.member.poll(0.1, 10) == []
    assert group.client.waits == [("poll", 0.1)]


@pytest.mark.parametrize(("protocol", "fresh"), [("classic", False), ("consumer", True)])
def test_the_epoch_that_the_broker_bumps_between_polls_is_seen_where_it_may_be(
    monkeypatch: pytest.MonkeyPatch, crashes: list[str], protocol: str, fresh: bool
) -> None:
    group = joined(monkeypatch, group_protocol=protocol)
    group.assign(0)
    old = group.member.group_metadata()
    group.client.metadata = metadata(6)
    assert (group.member.group_metadata() == group.client.metadata) == fresh
    assert fresh or group.member.group_metadata() == old


def test_a_static_member_keeps_its_shards_over_a_leave(group: Group) -> None:
    group.assign(0)
    group.member.leave()
    assert group.client.closed
    assert group.heard == [("assigned", [(INPUT, 0)])], "closing revokes nothing by itself"


def metadata(generation: int, member: str = "member") -> bytes:
    return b"CGMDv2:" + struct.pack("=i", generation) + f"group\0{member}\0instance\0".encode()


@settings(max_examples=60)
@given(st.integers(-(2**31), 2**31 - 1), st.text(st.characters(blacklist_characters="\0"), max_size=20))
def test_generation_and_member_are_read_from_the_clients_own_form(generation: int, member: str) -> None:
    try:
        wire = metadata(generation, member)
    except UnicodeEncodeError:
        return
    body = b"CGMDv2:" + struct.pack("=i", generation) + b"group\0" + member.encode() + b"\0"
    assert parse_group_metadata(body) == parse_group_metadata(wire) == (generation, member)


@pytest.mark.parametrize("foreign", [b"", b"CGMD", b"CGMDv1:\x05\0\0\0group\0member\0", b"\0" * 40])
def test_metadata_of_another_form_is_no_membership(foreign: bytes) -> None:
    assert parse_group_metadata(foreign) == (-1, "")


def test_a_coordinator_that_never_settles_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, lefts = [0.0], []

    def pass_time(seconds: float) -> None:
        now_s[0] += seconds

    def moving(left_s: float) -> list[Any]:
        lefts.append(left_s)
        raise KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))

    monkeypatch.setattr("runtime.exactly_once.membership.time.monotonic", lambda: now_s[0])
    monkeypatch.setattr("runtime.exactly_once.membership.time.sleep", pass_time)
    with pytest.raises(KafkaException):
        once_coordinated(moving, 2.0)
    assert lefts[0] == 2.0
    assert lefts == sorted(lefts, reverse=True), "each try is given only the time that is left"
    assert lefts[-1] == 0.1
    assert now_s[0] == pytest.approx(2.1, abs=0.11)
