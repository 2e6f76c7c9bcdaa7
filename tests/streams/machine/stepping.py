"""A world that is driven step by step, restarted with every kind of disk, and compared with one that never restarted.

Keeps the steps taken. Guarantees of `check_redecided`: the same steps by a world without restarts write the same bytes.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from schemas import topics
from tests.streams.stored import state
from tests.streams.test_restore import step_small
from tests.streams.world import AGENTS, Record, World

INPUTS = tuple(AGENTS)
WRITTEN = (topics.LEDGER, topics.CREDITS, topics.RETURNS, topics.REPLIES, topics.QUARANTINE)

shard_numbers = st.integers(0, 4)


class Step(NamedTuple):
    """One call of an agent: what a second world needs to take the same one."""

    now_ms: int
    topic: str
    shard: int
    records: int


class Stepping(RuleBasedStateMachine):
    """One world and the steps taken so far."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        step_small(self.patch)
        self.world = World(1)
        self.steps: list[Step] = []

    def stepped(self, shard: int) -> None:
        """A shard may have decided something."""

    @rule(topic=st.sampled_from(INPUTS), shard=shard_numbers, records=st.integers(1, 4) | st.none())
    def decide(self, topic: str, shard: int, records: int | None) -> None:
        shard %= self.world.shards
        before = self.world.decided[topic, shard]
        self.world.decide(topic, shard, records)
        taken = self.world.decided[topic, shard] - before
        if taken:
            self.steps.append(Step(self.world.now_ms, topic, shard, taken))
        self.stepped(shard)

    @rule(shard=shard_numbers, compacted=st.booleans(), disk=st.sampled_from(["lost", "kept", "stale"]))
    def restart(self, shard: int, compacted: bool, disk: str) -> None:
        shard %= self.world.shards
        if compacted:
            log = self.world.logs[topics.SNAPSHOTS.name, shard]
            log[:] = {record.key(): record for record in log}.values()
        before = state(self.world.tables[shard])
        if disk == "stale" and self._copy_of(shard).exists():
            self.world.tables.forget(shard)
            shutil.rmtree(self.world.folder / str(shard))
            shutil.copytree(self._copy_of(shard), self.world.folder / str(shard))
        self.world.restart(shard, with_disk=disk != "lost")
        assert state(self.world.tables[shard]) == before

    @rule(shard=shard_numbers)
    def copy_disk(self, shard: int) -> None:
        """As of now, for a later restart."""
        shard %= self.world.shards
        self.world.tables.forget(shard)
        shutil.rmtree(self._copy_of(shard), ignore_errors=True)
        shutil.copytree(self.world.folder / str(shard), self._copy_of(shard))
        self.world.restart(shard, with_disk=True)

    @rule(minutes=st.integers(1, 45))
    def wait(self, minutes: int) -> None:
        self.world.now_ms += minutes * 60_000

    @rule()
    def settle(self) -> None:
        while waiting := [(t, s) for t in INPUTS for s in range(self.world.shards) if self.waits(t, s)]:
            for topic, shard in waiting:
                self.decide(topic, shard, None)

    def check_redecided(self) -> None:
        """A world that never restarts takes the same steps and writes the same bytes to the same places."""
        again = World(self.world.shards)
        for shard in range(again.shards):
            again.logs[topics.COMMANDS.name, shard] = list(self.world.logs[topics.COMMANDS.name, shard])
        for now_ms, topic, shard, records in self.steps:
            again.now_ms = now_ms
            again.decide(topic, shard, records)
        for written in WRITTEN:
            assert list(map(content, again.records(written))) == list(map(content, self.world.records(written)))
        for shard in range(again.shards):
            assert state(again.tables[shard]) == state(self.world.tables[shard])

    def waits(self, topic: str, shard: int) -> bool:
        return self.world.decided[topic, shard] < len(self.world.logs[topic, shard])

    def _copy_of(self, shard: int) -> Path:
        return self.world.folder / f"copy-{shard}"


def content(record: Record) -> tuple[int, int, bytes | None, bytes]:
    """Where a record stands and what it holds."""
    return record.partition(), record.offset(), record.key(), record.value()
