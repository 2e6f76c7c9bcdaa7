"""Faults of the network between the services and the brokers; brokers and tail reach each other undisturbed.

What lasts is counted from the moment at which the line was mended; what happens once, from then.
"""

import random
import time
from collections.abc import Callable, Collection, Iterator

from tests.faults.installation import Installation
from tests.faults.kafka import cluster
from tests.faults.kafka.environments import Lines
from tests.faults.scenario import Fault, fault_now
from tests.support.lines.kafka import END_TXN, FETCH, GROUP_COORDINATOR, TRANSACTION_COORDINATOR

DELAYS_S = (1.0, 3.0, 4.5, 6.0, 9.0, 15.0, 30.0)
"""Of an EndTxn: within the transaction, about its time-out (5 s), beyond the worker's patience (11 s), and long after
its successor has fenced it."""

SEEN_TIMEOUT_S = 15.0
NOTICED_TIMEOUT_S = 30.0
"""Half of librdkafka's own patience of a minute, three times ours."""


def latency(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Of a line between two towns (2 ms) up to one between two continents (80 ms), in each direction."""
    lines, latency_s = _lines(installation), rng.choice([0.002, 0.01, 0.04, 0.08])
    time.sleep(rng.uniform(1, 3))
    before = lines.hindered
    lines.each(lambda line: setattr(line, "latency_s", latency_s))
    time.sleep(rng.uniform(5, 8))
    lines.each(lambda line: setattr(line, "latency_s", 0.0))
    yield fault_now(f"latency of {latency_s * 1_000:.0f} ms", _unhindered(lines, before))


def cut(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """One broker refuses all connections of the services."""
    lines, (node_id, role) = _lines(installation), _some_broker(installation, rng)
    time.sleep(rng.uniform(1, 3))
    before = lines.hindered
    lines.cut(node_id)
    _last(lines, before, rng.uniform(2, 12))
    yield from _mended(lines, f"broker {node_id} cut off, {role}", before)


def black_hole(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Nothing comes through to one broker or back, and nobody is told."""
    lines, (node_id, role) = _lines(installation), _some_broker(installation, rng)
    time.sleep(rng.uniform(1, 3))
    before = lines.hindered
    lines.one(node_id, lambda line: line.hold())
    _last(lines, before, rng.uniform(2, 12))
    yield from _mended(lines, f"broker {node_id} in a black hole, {role}", before)


def half_open(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """One broker has lost the connections of the services, which are not told; new ones work."""
    lines, (node_id, role) = _lines(installation), _some_broker(installation, rng)
    time.sleep(rng.uniform(1, 3))
    before = lines.hindered
    lines.one(node_id, lambda line: line.leave_half_open())
    yield fault_now(f"half-open connections to broker {node_id}, {role}", _unhindered(lines, before))
    time.sleep(rng.uniform(8, 12))


def fetches_half_open(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """The connections on which services wait for records are lost, and nobody writes on them to find out."""
    lines = _lines(installation)
    time.sleep(rng.uniform(1, 3))
    lost = sum(lines.each(lambda line: line.leave_kinds_half_open({FETCH})))
    yield fault_now(f"{lost} connections that fetch are half open", "" if lost else "nobody was fetching")
    _until(lambda: not sum(lines.each(lambda line: line.half_open)), NOTICED_TIMEOUT_S)
    if kept := sum(lines.each(lambda line: line.half_open)):
        yield fault_now(f"{kept} half-open connections", f"not given up within {NOTICED_TIMEOUT_S:.0f} s")
    time.sleep(rng.uniform(2, 4))


def transaction_coordinator_cut(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    yield from _coordinator_lost(installation, rng, TRANSACTION_COORDINATOR, "transaction coordinator")


def group_coordinator_cut(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    yield from _coordinator_lost(installation, rng, GROUP_COORDINATOR, "group coordinator")


def delayed_end_txn(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """A commit is 1-30 s on its way; its sender may be gone and fenced by then."""
    lines, late_s = _lines(installation), rng.choice(DELAYS_S)
    time.sleep(rng.uniform(1, 3))
    lines.each(lambda line: line.delay_next(END_TXN, late_s))
    _until(lines.delayed, SEEN_TIMEOUT_S)
    yield fault_now(f"EndTxn {late_s:.0f} s late", "" if lines.delayed() else "none was sent")
    time.sleep(late_s + rng.uniform(3, 5))


def _coordinator_lost(
    installation: Installation, rng: random.Random, kinds: Collection[int], what: str
) -> Iterator[Fault]:
    """Only the connections to a coordinator are cut or held: the same brokers take and give records all the while."""
    lines, is_cut = _lines(installation), rng.choice([True, False])
    time.sleep(rng.uniform(1, 3))
    before = lines.hindered
    lines.each(lambda line: line.cut_kinds(kinds) if is_cut else line.hold_kinds(kinds))
    _last(lines, before, rng.uniform(2, 12))
    yield from _mended(lines, f"{what} {'cut off' if is_cut else 'in a black hole'}", before)


def _last(lines: Lines, hindered_before: int, seconds: float) -> None:
    """From when something has run into it: services that recover from the fault before may send nothing for a while."""
    _until(lambda: lines.hindered > hindered_before, SEEN_TIMEOUT_S)
    time.sleep(seconds)


def _until(seen: Callable[[], object], timeout_s: float) -> None:
    """Whoever asks looks again: a fault that did not come, or is not noticed in time, is a finding."""
    deadline_s = time.monotonic() + timeout_s
    while not seen() and time.monotonic() < deadline_s:
        time.sleep(0.02)


def _mended(lines: Lines, name: str, hindered_before: int) -> Iterator[Fault]:
    missing = _unhindered(lines, hindered_before)
    lines.mend()
    yield fault_now(name, missing)
    time.sleep(5)


def _unhindered(lines: Lines, before: int) -> str:
    return "" if lines.hindered > before else "nothing went that way meanwhile"


def _lines(installation: Installation) -> Lines:
    assert isinstance(installation.around, Lines)
    return installation.around


def _some_broker(installation: Installation, rng: random.Random) -> tuple[int, str]:
    """One that matters: node id and why."""
    env = installation.env
    role, place = rng.choice(
        [
            ("transaction coordinator", cluster.transaction_place(env, rng.randrange(2))),
            ("group coordinator", cluster.group_place(env)),
            ("leader of a ledger partition", cluster.ledger_place(rng.randrange(env.settings.shards))),
        ]
    )
    return cluster.leader_of(env, place), role
