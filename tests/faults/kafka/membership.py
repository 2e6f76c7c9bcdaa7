"""Faults of the workers themselves: killed, stopped, held, doubled, joining and leaving, met by a bug."""

import random
import signal
import time
from collections.abc import Generator, Iterator

from runtime.exactly_once.broker import transaction_admin
from runtime.exactly_once.broker.transaction_admin import IncompleteView, Transaction
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import CYCLE_NAMES
from runtime.exactly_once.transaction import transactional_id
from runtime.kafka_client import Brokers
from streams.app import APPLICATION
from tests.faults.installation import SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS, Installation
from tests.faults.processes import Kept
from tests.faults.scenario import Fault, fault_now

REACHED_TIMEOUT_S = 60.0
"""From a kill to the armed step of the next incarnation: a start (2-6 s; 17 s with a load of 45), and at most
CYCLES_MAX cycles (50 ms; 2 s with that load)."""

CYCLES_MAX = 10
"""The first cycles after a restore are the long ones; later ones are all alike."""

KILLED_TIMEOUT_S = 5.0
WOKEN_TIMEOUT_S = 15.0
"""Until a fenced worker has noticed: at its next commit or heartbeat, or 11 s after a call that does not come back."""

EXPIRY_CHECK_S = 1.0
"""How often the coordinator looks for transactions that are too old."""

EXTRA_SLOT = 2
LONG_SESSION_MS = 20_000
POLL_INTERVAL_MS = 6_000


def worker_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """One or both; often while they still start, sometimes in peace."""
    time.sleep(rng.choice([rng.uniform(1, 3), rng.uniform(5, 7)]))
    victims = rng.sample(installation.workers, rng.choice([1, 1, 2]))
    exits = [worker.kill() for worker in victims]
    fault = fault_now(f"kill -9 {' '.join(worker.name for worker in victims)}")
    codes = [worker.exit_after(count, KILLED_TIMEOUT_S) for worker, count in zip(victims, exits, strict=True)]
    yield fault._replace(missing="" if set(codes) == {-signal.SIGKILL} else f"they ended with {codes}")


def worker_failpoint(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """At every step of the cycle, in an order that the seed chooses: each incarnation dies at the next one."""
    worker = rng.choice(installation.workers)
    steps = rng.sample(CYCLE_NAMES, len(CYCLE_NAMES))
    exits = worker.kill_and_start_with(_armed(rng, steps[0]))
    for step, following in zip(steps, [*steps[1:], ""], strict=True):
        worker.is_started(exits + 1, REACHED_TIMEOUT_S)  # the armed incarnation: only now can the next one be armed
        if following:
            worker.next_start_with(_armed(rng, following))
        code = worker.exit_after(exits, REACHED_TIMEOUT_S)
        yield fault_now(f"{worker.name} killed at {step}", "" if code == -signal.SIGKILL else f"it ended with {code}")
        if code != -signal.SIGKILL:
            return  # the later steps would each wait for nothing
        exits += 1


def worker_restore_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Under load for a while: where nothing was decided, nothing is restored, and the step would never be reached."""
    time.sleep(rng.uniform(2, 4))
    worker = rng.choice(installation.workers)
    exits = worker.kill_and_start_with({"MILLRACE_FAILPOINT": f"mid_restore:{rng.randrange(1, 3)}"})
    code = worker.exit_after(exits, REACHED_TIMEOUT_S)
    yield fault_now(f"{worker.name} killed in its restore", "" if code == -signal.SIGKILL else f"it ended with {code}")
    time.sleep(rng.uniform(4, 6))


def worker_zombie(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Stopped beyond its session, at any moment: the others take over, the zombie wakes up and must be fenced."""
    time.sleep(rng.uniform(1, 2))
    worker = rng.choice(installation.workers)
    exits = len(worker.exits)
    worker.signal(signal.SIGSTOP)
    yield fault_now(f"SIGSTOP {worker.name} beyond its session")
    time.sleep(SESSION_TIMEOUT_MS / 1_000 + 3)
    yield from _woken(worker, exits)


def worker_zombie_in_commit(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Stopped beyond its session with records written and not committed."""
    worker = rng.choice(installation.workers)
    step = rng.choice(["before_commit", "after_flush", "after_offsets"])
    exits = yield from _stopped_at(worker, rng, step)
    time.sleep(SESSION_TIMEOUT_MS / 1_000 + TRANSACTION_TIMEOUT_MS / 1_000)
    yield from _woken(worker, exits)


def worker_stall(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Stopped in mid-transaction beyond the transaction, within a session of 20 s: what it wrote is aborted, and no
    rebalance tells it so."""
    worker = rng.choice(installation.workers)
    exits = yield from _stopped_at(worker, rng, rng.choice(["after_flush", "after_offsets"]))
    time.sleep(TRANSACTION_TIMEOUT_MS / 1_000 + 2 * EXPIRY_CHECK_S)
    state = _transaction_state(installation, worker)
    if state == "Ongoing":
        yield fault_now(f"transaction of {worker.name}", "it was not aborted")
    yield from _woken(worker, exits)


def poll_interval_exceeded(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """The deciding thread stands still while the client's own threads go on: the group goes on without the worker."""
    worker = rng.choice(installation.workers)
    hold_s = (POLL_INTERVAL_MS + SESSION_TIMEOUT_MS) // 1_000 + 3
    exits = worker.kill_and_start_with(_armed(rng, "mid_cycle", f":hold={hold_s}"))
    time.sleep(4)
    yield fault_now(f"{worker.name} does not poll for {hold_s} s")
    code = worker.exit_after(exits, REACHED_TIMEOUT_S)
    yield fault_now(f"{worker.name} polls again", "" if code == EXIT_CRASHED else f"it ended with {code}")
    time.sleep(4)


def agent_exception(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """A bug: an exception in the middle of a decision. Nothing of the cycle may become true."""
    worker = rng.choice(installation.workers)
    exits = worker.kill_and_start_with({"MILLRACE_FAILPOINT": f"while_deciding:{rng.randrange(1, 60)}:raise"})
    code = worker.exit_after(exits, REACHED_TIMEOUT_S)
    yield fault_now(f"a bug in {worker.name}", "" if code == EXIT_CRASHED else f"it ended with {code}")
    time.sleep(rng.uniform(4, 6))


def same_slot(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(1, 2))
    slot = rng.randrange(2)
    worker = installation.workers[slot]
    exits = len(worker.exits)
    twin = installation.worker(slot)
    yield fault_now(f"a second worker-{slot}")
    fenced = worker.exit_after(exits, REACHED_TIMEOUT_S) == EXIT_CRASHED or EXIT_CRASHED in twin.exits
    time.sleep(rng.uniform(2, 5))  # each start fences the other: nobody gets far
    twin.end()
    yield fault_now(f"the second worker-{slot} is gone", "" if fenced else "neither was fenced")
    time.sleep(3)


def rebalance_storm(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """A worker comes or goes every 3-7 s; on a busy machine it stays until it has decided something."""
    before = _transaction(installation, EXTRA_SLOT)
    extra = installation.worker(EXTRA_SLOT)
    joins = fault_now("worker-2 joins")
    time.sleep(rng.uniform(3, 7))
    yield joins._replace(missing=_share_missing(installation, before))
    extra.end()
    yield fault_now("worker-2 leaves")
    time.sleep(rng.uniform(3, 7))


def _armed(rng: random.Random, step: str, action: str = "") -> dict[str, str]:
    return {"MILLRACE_FAILPOINT": f"{step}:{rng.randrange(1, CYCLES_MAX)}{action}"}


def _stopped_at(worker: Kept, rng: random.Random, step: str) -> Generator[Fault, None, int]:
    """Start it anew, to be stopped at a step; answers how many exits there were then."""
    exits = worker.kill_and_start_with({"MILLRACE_FAILPOINT": f"{step}:{rng.randrange(2, CYCLES_MAX)}:stop"})
    worker.exit_after(exits - 1, REACHED_TIMEOUT_S)
    stopped = worker.is_stopped_within(REACHED_TIMEOUT_S)
    yield fault_now(f"{worker.name} stopped at {step}", "" if stopped else "it never came there")
    return exits


def _woken(worker: Kept, exits: int) -> Iterator[Fault]:
    worker.signal(signal.SIGCONT)
    code = worker.exit_after(exits, WOKEN_TIMEOUT_S)
    yield fault_now(f"{worker.name} goes on", "" if code == EXIT_CRASHED else f"not fenced: it ended with {code}")
    time.sleep(3)


def _transaction_state(installation: Installation, worker: Kept) -> str:
    found = _transaction(installation, installation.workers.index(worker))
    return found.state if found else "none"


def _transaction(installation: Installation, slot: int) -> Transaction | None:
    """What its coordinator knows of a slot's transactions; None before the first."""
    view = transaction_admin.cluster(Brokers(installation.env.kafka_bootstrap))
    try:
        return transaction_admin.transaction(view, transactional_id(APPLICATION, slot))
    except IncompleteView:
        return None


def _share_missing(installation: Installation, before: Transaction | None) -> str:
    """Empty once the slot has begun a transaction under a new epoch: it has its share of the shards then."""
    deadline_s = time.monotonic() + REACHED_TIMEOUT_S
    while time.monotonic() < deadline_s:
        found = _transaction(installation, EXTRA_SLOT)
        is_new = found is not None and (before is None or found.epoch != before.epoch)
        if found is not None and is_new and found.state != "Empty":
            return ""
        time.sleep(0.2)
    return "it was given nothing to decide"
