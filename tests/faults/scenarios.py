"""What goes wrong, one function each: it breaks things until its time is over and notes each moment.

Seeded: the same seed does the same things in the same order. Nothing outside the installation is touched.
"""

import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.faults.installation import SESSION_TIMEOUT_MS, Installation

CYCLE_STEPS = (
    "after_consume",
    "mid_cycle",
    "before_commit",
    "after_flush",
    "after_offsets",
    "mid_endtxn",
    "after_commit",
)
SINK_STEPS = ("sink_before_commit", "sink_after_commit")


class Fault(NamedTuple):
    """What was done, when, and when the part was given back (the recovery is counted from there)."""

    name: str
    at_s: float


Break = Callable[[Installation, random.Random], Iterator[Fault]]


class Scenario(NamedTuple):
    """One row of the matrix."""

    what: str
    faults: Break
    duration_s: int = 20
    brokers: int = 1
    poison_per_mille: int = 0


def _now(name: str) -> Fault:
    return Fault(name, time.monotonic())


def nothing(_: Installation, __: random.Random) -> Iterator[Fault]:
    """Load alone: what the figures of the others compare with."""
    time.sleep(1)
    yield from ()


def worker_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(1.5, 3))
    victims = rng.sample(installation.workers, rng.choice([1, 1, 2]))
    for worker in victims:
        worker.signal(signal.SIGKILL)
    yield _now(f"kill -9 {' '.join(worker.name for worker in victims)}")


def worker_failpoint(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    step, worker = rng.choice(CYCLE_STEPS), rng.choice(installation.workers)
    worker.next_start_with({"MILLRACE_FAILPOINT": f"{step}:{rng.randrange(1, 20)}"})
    worker.signal(signal.SIGKILL)
    yield _now(f"kill -9 {worker.name}, then at {step}")
    time.sleep(rng.uniform(4, 6))


def worker_restore_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    worker = rng.choice(installation.workers)
    worker.next_start_with({"MILLRACE_FAILPOINT": "mid_restore:1"})
    worker.signal(signal.SIGKILL)
    yield _now(f"kill -9 {worker.name}, then in its restore")
    time.sleep(rng.uniform(4, 6))


def worker_zombie(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Stopped beyond its session: the others take over, the zombie wakes up and must be fenced."""
    time.sleep(rng.uniform(1, 2))
    worker = rng.choice(installation.workers)
    pid = worker.signal(signal.SIGSTOP)
    yield _now(f"SIGSTOP {worker.name} beyond its session")
    time.sleep(SESSION_TIMEOUT_MS / 1_000 + 3)
    if worker.pid == pid:
        worker.signal(signal.SIGCONT)
    time.sleep(3)


def worker_stall(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Stopped beyond its transaction but within its session."""
    time.sleep(rng.uniform(1, 2))
    worker = rng.choice(installation.workers)
    worker.signal(signal.SIGSTOP)
    yield _now(f"SIGSTOP {worker.name} beyond its transaction")
    time.sleep(5.3)
    worker.signal(signal.SIGCONT)
    time.sleep(2)


def same_slot(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(1, 2))
    slot = rng.randrange(2)
    twin = installation.worker(slot)
    yield _now(f"a second worker-{slot}")
    time.sleep(rng.uniform(3, 5))
    twin.end()


def rebalance(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    extra = installation.worker(2)
    yield _now("worker-2 joins")
    time.sleep(rng.uniform(3, 5))
    extra.end()
    yield _now("worker-2 leaves")
    time.sleep(rng.uniform(3, 5))


def sink_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    step = rng.choice(SINK_STEPS)
    installation.sink.next_start_with({"MILLRACE_FAILPOINT": f"{step}:{rng.randrange(1, 30)}"})
    installation.sink.signal(signal.SIGKILL)
    yield _now(f"kill -9 sink, then at {step}")
    time.sleep(rng.uniform(2, 4))


def postgres_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(2, 4))
    installation.env.kill("postgres")
    yield _now("kill -9 postgres")


def broker_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(2, 4))
    name = rng.choice(_brokers(installation))
    installation.env.kill(name)
    yield _now(f"kill -9 {name}")
    time.sleep(10)


def broker_restart(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(2, 4))
    name = rng.choice(_brokers(installation))
    installation.env.restart(name)
    yield _now(f"restart of {name}")
    time.sleep(10)


def _brokers(installation: Installation) -> list[str]:
    names = [service.name for service in installation.env.status().services]
    return [name for name in names if name.startswith("broker")]


SCENARIOS: dict[str, Scenario] = {
    "nothing": Scenario("load alone", nothing),
    "worker_kill": Scenario("kill -9 of one or both workers, again and again", worker_kill),
    "worker_failpoint": Scenario("kill -9 at a step of the commit cycle", worker_failpoint),
    "worker_restore_kill": Scenario("kill -9 while a worker restores", worker_restore_kill),
    "worker_zombie": Scenario("SIGSTOP beyond the session, then SIGCONT", worker_zombie, duration_s=30),
    "worker_stall": Scenario("SIGSTOP beyond the transaction, within the session", worker_stall),
    "same_slot": Scenario("two processes with one slot", same_slot),
    "rebalance": Scenario("a worker joins and leaves every few seconds", rebalance, duration_s=30),
    "poison": Scenario("one record in a hundred can't be decided", nothing, poison_per_mille=10),
    "sink_kill": Scenario("kill -9 of the sink, before and after COMMIT", sink_kill),
    "postgres_kill": Scenario("kill -9 of Postgres", postgres_kill),
    "broker_kill": Scenario("kill -9 of the only broker", broker_kill, duration_s=30),
    "broker_restart": Scenario("clean restart of the only broker", broker_restart, duration_s=30),
    "broker_kill_3": Scenario("kill -9 of one of three brokers (RF 3)", broker_kill, duration_s=40, brokers=3),
}
