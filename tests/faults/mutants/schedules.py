"""The faults that lay one guard bare: a process that stops with its input in hand while another does its work."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import psycopg

from millrace.environment import LocalEnvironment
from tests.faults.installation import SESSION_TIMEOUT_MS, Around, Installation, nothing_around
from tests.faults.mutants.changes import STOP_AT
from tests.faults.processes import Kept
from tests.faults.scenario import Fault, fault_now

STOP_DEADLINE_S = 30
TAKEOVER_S = SESSION_TIMEOUT_MS / 1_000 + 5
"""The session ends, the partitions move, the other worker restores them (under 1 s here) and decides what waits."""

WORK_S = 4

UNIQUE_FACTS = ("decisions", "journal_entries", "refusals", "returns", "account_events")


def steady(_: Installation, __: random.Random) -> Iterator[Fault]:
    """Nothing but time under load."""
    time.sleep(WORK_S)
    yield from ()


def worker_zombie_with_input(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Stops before the first write of a cycle, so that no open transaction holds its successor back."""
    zombie = installation.workers[0]
    zombie.kill_and_start_with({STOP_AT: str(rng.randrange(3, 8))})
    pid = wait_stopped(zombie)
    yield fault_now(f"{zombie.name} stops with records in hand")
    time.sleep(TAKEOVER_S)
    _wake(zombie, pid)


def sink_zombie_with_input(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Stops with a batch in hand; a second sink applies that batch and more, and leaves."""
    zombie = installation.sink
    zombie.kill_and_start_with({STOP_AT: str(rng.randrange(5, 40))})
    pid = wait_stopped(zombie)
    yield fault_now("sink stops with a batch in hand")
    other = installation.service("sink-2", "sink")
    time.sleep(WORK_S)
    other.end()
    _wake(zombie, pid)


def worker_killed_before_commit(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """With everything on the broker and nothing committed, twice in a row."""
    for worker in installation.workers:
        worker.kill_and_start_with({"MILLRACE_FAILPOINT": f"after_flush:{rng.randrange(2, 20)}"})
        yield fault_now(f"kill -9 {worker.name}, then at after_flush")
        time.sleep(WORK_S)


def wait_stopped(kept: Kept) -> int:
    """The pid of the incarnation that has stopped itself. Raises TimeoutError."""
    deadline_s = time.monotonic() + STOP_DEADLINE_S
    while time.monotonic() < deadline_s:
        try:
            pid = kept.pid
            if psutil.Process(pid).status() == psutil.STATUS_STOPPED:
                return pid
        except psutil.NoSuchProcess:
            pass  # between two incarnations
        time.sleep(0.05)
    raise TimeoutError(f"{kept.name} did not stop within {STOP_DEADLINE_S} s")


def _wake(zombie: Kept, pid: int) -> None:
    if zombie.pid == pid:
        zombie.signal(signal.SIGCONT)
    time.sleep(WORK_S)


def without_unique_facts(env: LocalEnvironment, folder: Path) -> AbstractContextManager[Around]:
    """The tables take a second row for one payment: their keys would stop a second writer before the fence shows."""
    with psycopg.connect(env.database_url) as database:
        for table in UNIQUE_FACTS:
            database.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
    return nothing_around(env, folder)
