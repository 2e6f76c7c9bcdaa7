"""Goal: a restore of minutes keeps its worker in the group, and the group need not wait for it (real broker)."""

import threading
import time
from collections.abc import Mapping

import pytest

from runtime.exactly_once import membership
from runtime.exactly_once.contract import ShardLog
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.membership import Membership, parse_group_metadata
from runtime.settings import Settings
from tests.exactly_once.application.account_sums import AccountSums
from tests.exactly_once.application.processes import Run

MAX_POLL_INTERVAL_MS = 6_000


class LongRestore(AccountSums):
    """Reads its ledger again and again until it is released."""

    def __init__(self, run: str) -> None:
        super().__init__(run)
        self.released = threading.Event()
        self.begun = 0

    def restore(self, shard: int, log: ShardLog) -> Mapping[str, int]:
        self.begun += 1
        while not self.released.is_set():
            super().restore(shard, log)
            time.sleep(0.01)
        return super().restore(shard, log)


@pytest.fixture(params=["classic", "consumer"])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(membership, "RESTORE_IN_CALLBACK_S", 0.2)
    return str(request.param)


def member_of(run: Run, store: AccountSums, protocol: str, slot: int = 0) -> Membership:
    settings = Settings.model_validate(
        {
            "kafka_bootstrap": run.broker,
            "session_timeout_ms": MAX_POLL_INTERVAL_MS,
            "max_poll_interval_ms": MAX_POLL_INTERVAL_MS,
            "transaction_timeout_ms": 5_000,
            "group_protocol": protocol,
            "slot": slot,
        }
    )
    member = Membership(run.name, store, settings, Failpoints(""))
    member.join()
    return member


def poll_for(seconds: float, *members: Membership) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for member in members:
            member.poll(0.05, 100)


def poll_until_owned(*members: Membership) -> None:
    deadline_s = time.monotonic() + 30
    while not all(member.epochs for member in members):
        assert time.monotonic() < deadline_s
        poll_for(0.1, *members)


def test_a_restore_longer_than_the_poll_interval_keeps_the_worker_in_its_group(run: Run, protocol: str) -> None:
    store = LongRestore(run.name)
    member = member_of(run, store, protocol)
    poll_for(1.5 * MAX_POLL_INTERVAL_MS / 1000, member)
    assert store.begun
    assert not member.epochs, "nothing may be read before it is restored"
    before = parse_group_metadata(member.group_metadata())
    store.released.set()
    poll_until_owned(member)
    assert parse_group_metadata(member.group_metadata()) == before, "it was thrown out and came back"
    assert len(member.epochs) == 8
    member.leave()


def test_shards_that_leave_before_they_are_restored_are_somebody_elses(run: Run, protocol: str) -> None:
    slow, quick = LongRestore(run.name), AccountSums(run.name)
    restoring = member_of(run, slow, protocol)
    poll_for(2, restoring)
    assert slow.begun
    other = member_of(run, quick, protocol, slot=1)
    deadline_s = time.monotonic() + 30
    while not other.epochs:
        assert time.monotonic() < deadline_s, "the group waits for a restore"
        poll_for(0.1, restoring, other)
    assert not restoring.epochs
    slow.released.set()
    poll_until_owned(restoring, other)
    poll_for(1, restoring, other)
    assert restoring.epochs.keys().isdisjoint(other.epochs)
    assert len(restoring.epochs) + len(other.epochs) == 8
    restoring.leave()
    other.leave()


def test_a_worker_that_stops_does_not_wait_for_its_restore(run: Run, protocol: str) -> None:
    store = LongRestore(run.name)
    member = member_of(run, store, protocol)
    poll_for(2, member)
    assert store.begun
    begun_s = time.monotonic()
    member.leave()
    assert time.monotonic() - begun_s < 10


def test_a_restore_that_fails_behind_the_callback_ends_the_worker(
    run: Run, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LongRestore(run.name)
    member = member_of(run, store, protocol)
    poll_for(2, member)
    monkeypatch.setattr(AccountSums, "restore", _broken)
    with pytest.raises(ValueError, match="hash chain"):
        poll_for(20, member)
    member.leave()


def _broken(*_: object) -> Mapping[str, int]:
    raise ValueError("hash chain broken")
