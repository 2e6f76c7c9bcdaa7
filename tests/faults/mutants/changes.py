"""What can be changed in a process of the product: guards taken out, and schedules that lay a guard bare.

Applied by `tests.faults.mutants.process` before the service starts, so no switch in the product can take a guard out.
"""

import functools
import itertools
import os
import signal
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from types import SimpleNamespace
from typing import Any

from confluent_kafka import Producer

from runtime.exactly_once import commit, engine, membership, restore, transaction
from schemas import topics

STOP_AT = "FAULTS_STOP_AT"
"""Variable: the cycle, or the sink's batch, before which the process stops itself with its input in hand."""

SLOW_DECISION_S = 0.05
LONG_CYCLE_S = 3.0
"""A process that wakes up has to hear from its group before it commits (heartbeats are 1.2 s apart), within the 5 s of
its transaction."""

POLL_WAIT_S = 0.02
STOPPED_WITHIN_S = 0.2


def take_out_barrier() -> None:
    """The commit does not wait until the agents have decided what was delivered."""
    from runtime import faust_driver

    async def acknowledged_at_once(driver: Any, messages: Sequence[Any]) -> None:
        return None

    driver: Any = faust_driver.FaustDriver
    driver._acknowledged = acknowledged_at_once


def take_out_generation() -> None:
    """Offsets are sent without generation and member: the broker takes them from anybody."""

    def unfenced(member: Any) -> bytes:
        group: bytes = member._application.encode()
        return membership.METADATA_HEADER + struct.pack("=i", -1) + group + b"\0\0\1"

    member: Any = membership.Membership
    member.group_metadata = unfenced


def take_out_ownership() -> None:
    """The commit does not ask whether the partitions were owned without a break."""
    commit.refuse_unless_owned = lambda *_: None


def take_out_end_on_loss() -> None:
    """Lost partitions are given up like revoked ones, instead of ending the process; nothing is committed for them."""

    def give_up(member: Any, _: Any, partitions: list[Any]) -> None:
        gone = [(p.topic, p.partition) for p in partitions]
        for partition in gone:
            member.epochs.pop(partition, None)
            member.positions.pop(partition, None)
        member.on_revoked(gone)

    member: Any = membership.Membership
    member._lost = give_up


def take_out_comparison() -> None:
    """The restore believes the group's offsets, whatever the ledger says is decided."""
    changed: Any = restore
    changed._resume = lambda _shard, _topic, committed, _decided, _store: committed or 0


def take_out_changelog() -> None:
    """Ledger records, which are the changelog, are written beside the transaction."""
    producer: Any = transaction.TransactionProducer
    inside = producer.produce
    outside: dict[int, Producer] = {}

    def produce(self: Any, topic: str, value: bytes, **place: Any) -> None:
        if topic != topics.LEDGER.name:
            inside(self, topic, value, **place)
            return
        servers = self._configuration["bootstrap.servers"]
        beside = outside.setdefault(0, Producer({"bootstrap.servers": servers, "linger.ms": 0}))
        beside.produce(topic, value, partition=place["partition"])
        beside.flush(10)

    producer.produce = produce


def take_out_keys() -> None:
    """No idempotency key is known when a command is decided."""
    from payments.lifecycle import decide as decided
    from streams.agents import authorise

    nothing_known = SimpleNamespace(fingerprint_of=lambda _: None)

    def decide(book: Any, *rest: Any) -> Any:
        forgetful = copy(book)
        forgetful.operations = nothing_known
        return decided(forgetful, *rest)

    changed: Any = authorise
    changed.decide = decide


def take_out_fence() -> None:
    """The sink moves sink_progress on from wherever it stands."""
    from sinks import loop, progress

    def claim_anyway(connection: Any, _: Mapping[int, Any], after: Mapping[int, Any]) -> None:
        before = {shard: _standing(connection, row) for shard, row in after.items()}
        progress.claim(connection, before, after)

    changed: Any = loop
    changed.claim = claim_anyway


def _standing(connection: Any, row: Any) -> Any:
    found = connection.execute(
        "SELECT ledger_next_offset FROM sink_progress WHERE shard = %s FOR UPDATE", (row.shard,)
    ).fetchone()
    return row._replace(ledger_next_offset=found[0])


def take_out_sums() -> None:
    """The sink compares neither balances with what the ledger states nor lanes with where they stood."""
    from sinks import balances, loop

    changed: Any = balances
    changed._APPLY = balances._APPLY.replace("WHERE is_stated = 1", "WHERE false")
    applied: Any = loop
    applied.advance_lanes = lambda *_: None


def slow_decisions() -> None:
    """Every chunk takes its agent 50 ms, so that a commit which does not wait is early."""
    from streams.agents import authorise

    changed: Any = authorise
    decided = changed.authorise

    @functools.wraps(decided)
    def slowly(*arguments: Any) -> None:
        time.sleep(SLOW_DECISION_S)
        decided(*arguments)

    changed.authorise = slowly


def long_cycles() -> None:
    """A cycle stays open for three seconds, over many polls, and ends as soon as its worker has learned of a loss:
    before it is given partitions again, which may take longer than its transaction lasts.
    """

    def is_due(running: Any, **_: Any) -> bool:
        cycle, owned = running._cycle, running._membership.epochs
        has_lost = bool(cycle.epochs.keys() - owned.keys())
        return has_lost or time.monotonic() - cycle.opened_at_s >= LONG_CYCLE_S

    changed: Any = engine.Engine
    changed._is_due = is_due
    member: Any = membership.Membership
    polled = member.poll
    member.poll = lambda self, timeout_s, most: polled(self, max(timeout_s, POLL_WAIT_S), most)


def stop_before_cycle() -> None:
    """The process stops itself with its first records of a cycle in hand and nothing written."""
    changed: Any = engine.Engine
    have_decided = changed._have_decided

    def decide_or_stop(self: Any, *arguments: Any) -> None:
        if self.cycles == int(os.environ.get(STOP_AT, "-1")) and not self._cycle.offsets:
            os.environ.pop(STOP_AT)
            stop_here()
        have_decided(self, *arguments)

    changed._have_decided = decide_or_stop


def stop_here() -> None:
    """Comes back when somebody has woken the process, and not before: the signal may stop another of its threads first,
    and what this one still did would count as done long ago.
    """
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(STOPPED_WITHIN_S)


def stop_before_batch() -> None:
    """The sink stops itself with a batch in hand and nothing claimed."""
    from sinks import service

    changed: Any = service
    flush, counted = changed.flush_batch, itertools.count()

    def flush_or_stop(*arguments: Any) -> None:
        if next(counted) == int(os.environ.get(STOP_AT, "-1")):
            stop_here()
        flush(*arguments)

    changed.flush_batch = flush_or_stop


CHANGES: dict[str, Callable[[], None]] = {
    "barrier": take_out_barrier,
    "generation": take_out_generation,
    "ownership": take_out_ownership,
    "end_on_loss": take_out_end_on_loss,
    "comparison": take_out_comparison,
    "changelog": take_out_changelog,
    "keys": take_out_keys,
    "fence": take_out_fence,
    "sums": take_out_sums,
    "slow_decisions": slow_decisions,
    "long_cycles": long_cycles,
    "stop_before_cycle": stop_before_cycle,
    "stop_before_batch": stop_before_batch,
}
