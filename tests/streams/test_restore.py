"""A restored shard equals the one that was lost, from the ledger alone and from snapshots with the ledger's tail."""

import random
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.book import HOUR_US, IDEMPOTENCY_WINDOW_HOURS
from payments.errors import InvariantViolation
from schemas import topics
from schemas.partitioning import shard_of
from streams import snapshots
from streams.disk.database import Storage
from streams.restore import restore
from streams.snapshots import PAGES
from tests.streams.accounts import account, deposit, freeze, funded, open_account, transfer
from tests.streams.clerk import KINDS, Clerk
from tests.streams.stored import operations_of, state
from tests.streams.world import Record, World, WorldLog


def assert_restores(world: World) -> None:
    before = [state(world.tables[shard]) for shard in range(world.shards)]
    for with_disk in (True, False, True):
        world.restart(with_disk=with_disk)
        assert [state(world.tables[shard]) for shard in range(world.shards)] == before


def busy_world(payments: int, accounts: int = 60, seed: int = 1) -> World:
    """Accounts that pay each other at random, some frozen, some unknown; a dozen others do whatever can be done."""
    rng, world = random.Random(seed), World(2)
    ids = [account(number) for number in range(1, accounts)]
    funded(world, *ids, amount_minor=500)
    clerk = Clerk(world, [account(number) for number in range(501, 513)])
    clerk.open_accounts(500)
    for number in range(payments):
        payer, payee = rng.choice(ids), rng.choice([*ids, account(99_999)])
        world.send(transfer(payer, payee, rng.randrange(1, 200), f"k{rng.randrange(payments)}"))
        clerk.ask(rng.choice(KINDS), rng)
        if number % 97 == 0:
            world.send(freeze(rng.choice(ids)))
        if number % 10 == 0:
            world.settle()
            world.now_ms += rng.randrange(10_000)
    world.settle()
    return world


def test_the_ledger_alone_restores_the_state() -> None:
    world = busy_world(150)
    assert not world.records(topics.SNAPSHOTS)
    assert_restores(world)


def step_small(patch: pytest.MonkeyPatch) -> None:
    """Snapshots after every few entries and pages in parts, so that small worlds turn their pages often."""
    patch.setattr(snapshots, "ENTRIES_PER_PAGE", 1)
    patch.setattr(snapshots, "PAGES_PER_STEP", 64)
    patch.setattr(snapshots, "PART_BYTES", 100)
    patch.setattr(snapshots, "SEGMENT_OPERATIONS", 20)
    patch.setattr(snapshots, "CHECKPOINT_ENTRIES", 80)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    step_small(monkeypatch)


@pytest.mark.usefixtures("small_steps")
def test_snapshots_and_the_tail_restore_the_state() -> None:
    world = busy_world(1_500)
    assert world.records(topics.SNAPSHOTS)
    assert_restores(world)


@pytest.mark.usefixtures("small_steps")
def test_snapshots_bound_what_a_restore_reads(tmp_path: Path) -> None:
    world = busy_world(1_500)
    world.now_ms += 10 * 60_000
    for number in range(6 * PAGES):
        world.send(deposit(account(1 + number % 50), 1, f"d{number}"))
        world.settle()
        world.now_ms += 1_000
    log = WorldLog(world, 0)
    restore(0, world.shards, cast(Any, log), Storage(tmp_path)).book.close()
    assert log.ledger_records_read < len(world.logs[topics.LEDGER.name, 0]) / 2
    assert_restores(world)


@pytest.mark.usefixtures("small_steps")
def test_a_compacted_snapshot_topic_restores_the_same() -> None:
    world = busy_world(1_500)
    for shard in range(world.shards):
        log = world.logs[topics.SNAPSHOTS.name, shard]
        newest = {record.key(): record for record in log}
        world.logs[topics.SNAPSHOTS.name, shard] = list(newest.values())
    assert_restores(world)


@pytest.mark.usefixtures("small_steps")
def test_a_clock_that_went_back_costs_time_and_nothing_else() -> None:
    world = busy_world(600)
    world.now_ms -= 3_600_000
    for number in range(2 * PAGES):
        world.send(deposit(account(1 + number % 50), 1, f"d{number}"))
        world.settle()
    assert_restores(world)


@pytest.mark.usefixtures("small_steps")
def test_segments_of_forgotten_hours_are_deleted() -> None:
    world = World(1)
    funded(world, account(1))
    for hour in range(2 * IDEMPOTENCY_WINDOW_HOURS):
        world.send(*(deposit(account(1), 1, f"{hour}-{number}") for number in range(25)))
        world.settle()
        world.now_ms += HOUR_US // 1_000
    newest = {record.key() or b"": record.value() for record in world.records(topics.SNAPSHOTS)}
    segments = [key for key, value in newest.items() if key.startswith(b"op") and value is not None]
    assert len(segments) < 2.5 * IDEMPOTENCY_WINDOW_HOURS
    assert len(operations_of(world.tables[0])) <= 25 * (IDEMPOTENCY_WINDOW_HOURS + 1)
    assert_restores(world)


@pytest.mark.usefixtures("small_steps")
def test_restarts_more_often_than_a_turn_of_the_pages_leave_the_restore_bounded(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(snapshots, "ENTRIES_PER_PAGE", 4)
    world = World(1)
    funded(world, account(1))
    for number in range(6 * PAGES):
        world.send(deposit(account(1), 1, f"d{number}"))
        world.settle()
        world.now_ms += 60_000
        if number % 50 == 49:
            world.restart()
    pages = {record.key() for record in world.records(topics.SNAPSHOTS) if (record.key() or b"").startswith(b"page")}
    assert len(pages) == PAGES
    log = WorldLog(world, 0)
    restore(0, world.shards, cast(Any, log), Storage(tmp_path)).book.close()
    assert log.ledger_records_read < 5 * PAGES
    assert_restores(world)


@pytest.mark.usefixtures("small_steps")
def test_a_restored_shard_knows_the_keys_that_the_lost_one_knew() -> None:
    """Credits alone move the shard's time past the window; nothing is forgotten until the next operation is decided."""
    world = World(2)
    here, there = (next(id_ for id_ in map(account, range(1, 99)) if shard_of(id_, 2) == shard) for shard in (0, 1))
    funded(world, here, there, amount_minor=5_000)
    for number in range(40):
        world.send(deposit(here, 1, f"d{number}"))
        world.settle()
    world.now_ms += (IDEMPOTENCY_WINDOW_HOURS + 2) * HOUR_US // 1_000
    for number in range(2 * PAGES):
        world.send(transfer(there, here, 1, f"t{number}"))
        world.settle()
    assert_restores(world)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(0, 120), max_size=4))
def test_restarting_anywhere_changes_no_decision(seed: int, cuts: list[int]) -> None:
    """Property: the ledger of a world that lost its memory now and then equals that of one that never did."""

    def ledger(restarts: set[int]) -> list[bytes]:
        rng, world = random.Random(seed), World(2)
        ids = [account(number) for number in range(1, 12)]
        world.send(*(open_account(id_, 50) for id_ in ids))
        world.send(*(deposit(id_, 200) for id_ in ids))
        clerk = Clerk(world, [account(number) for number in range(501, 507)])
        clerk.open_accounts(200)
        for number in range(120):
            if number in restarts:
                world.restart(number % 2, with_disk=number % 3 > 0)
            payer, payee = rng.choice(ids), rng.choice(ids)
            world.send(transfer(payer, payee, rng.randrange(1, 90), f"k{rng.randrange(250)}"))
            clerk.ask(rng.choice(KINDS), rng)
            if number % 7 == 0:
                world.settle()
        world.settle()
        return [record.value() for record in world.records(topics.LEDGER)]

    with pytest.MonkeyPatch.context() as patch:
        step_small(patch)
        assert ledger(set(cuts)) == ledger(set())


def test_a_changed_byte_in_the_ledger_refuses_the_shard() -> None:
    world = busy_world(200)
    log = world.logs[topics.LEDGER.name, 0]
    value = bytearray(log[1].value())
    value[-20] ^= 1
    log[1] = Record(topics.LEDGER.name, 0, 1, None, bytes(value), world.now_ms)
    with pytest.raises(InvariantViolation, match="hash chain broken at record 2"):
        world.restart(0)


def test_a_missing_ledger_record_refuses_the_shard() -> None:
    world = busy_world(200)
    del world.logs[topics.LEDGER.name, 0][2]
    with pytest.raises(InvariantViolation, match="2 is followed by 3"):
        world.restart(0)


@pytest.mark.usefixtures("small_steps")
def test_a_ledger_that_ends_before_its_snapshots_refuses_the_shard() -> None:
    world = busy_world(600)
    del world.logs[topics.LEDGER.name, 0][3:]
    with pytest.raises(InvariantViolation, match="ends at record 3"):
        world.restart(0)
