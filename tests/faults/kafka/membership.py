"""Faults of the workers themselves: killed, stopped, doubled, joining and leaving."""

import random
import signal
import time
from collections.abc import Iterator

from tests.faults.installation import SESSION_TIMEOUT_MS, Installation
from tests.faults.scenario import Fault, fault_now

CYCLE_STEPS = (
    "after_consume",
    "mid_cycle",
    "before_commit",
    "after_flush",
    "after_offsets",
    "mid_endtxn",
    "after_commit",
)


def worker_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(1.5, 3))
    victims = rng.sample(installation.workers, rng.choice([1, 1, 2]))
    for worker in victims:
        worker.signal(signal.SIGKILL)
    yield fault_now(f"kill -9 {' '.join(worker.name for worker in victims)}")


def worker_failpoint(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    step, worker = rng.choice(CYCLE_STEPS), rng.choice(installation.workers)
    worker.next_start_with({"MILLRACE_FAILPOINT": f"{step}:{rng.randrange(1, 20)}"})
    worker.signal(signal.SIGKILL)
    yield fault_now(f"kill -9 {worker.name}, then at {step}")
    time.sleep(rng.uniform(4, 6))


def worker_restore_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    worker = rng.choice(installation.workers)
    worker.next_start_with({"MILLRACE_FAILPOINT": "mid_restore:1"})
    worker.signal(signal.SIGKILL)
    yield fault_now(f"kill -9 {worker.name}, then in its restore")
    time.sleep(rng.uniform(4, 6))


def worker_zombie(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Stopped beyond its session: the others take over, the zombie wakes up and must be fenced."""
    time.sleep(rng.uniform(1, 2))
    worker = rng.choice(installation.workers)
    pid = worker.signal(signal.SIGSTOP)
    yield fault_now(f"SIGSTOP {worker.name} beyond its session")
    time.sleep(SESSION_TIMEOUT_MS / 1_000 + 3)
    if worker.pid == pid:
        worker.signal(signal.SIGCONT)
    time.sleep(3)


def worker_stall(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Stopped beyond its transaction but within its session."""
    time.sleep(rng.uniform(1, 2))
    worker = rng.choice(installation.workers)
    worker.signal(signal.SIGSTOP)
    yield fault_now(f"SIGSTOP {worker.name} beyond its transaction")
    time.sleep(5.3)
    worker.signal(signal.SIGCONT)
    time.sleep(2)


def same_slot(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(1, 2))
    slot = rng.randrange(2)
    twin = installation.worker(slot)
    yield fault_now(f"a second worker-{slot}")
    time.sleep(rng.uniform(3, 5))
    twin.end()


def rebalance(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    extra = installation.worker(2)
    yield fault_now("worker-2 joins")
    time.sleep(rng.uniform(3, 5))
    extra.end()
    yield fault_now("worker-2 leaves")
    time.sleep(rng.uniform(3, 5))
