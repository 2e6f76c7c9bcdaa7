"""Whatever ends a worker, and wherever, the run is right after its restart: recomputed from the command topic."""

import signal
import time

import pytest

from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import CYCLE_NAMES
from tests.exactly_once.application.processes import Run
from tests.support.side_by_side import by_night


def test_a_kill_at_every_step_of_the_cycle_leaves_a_right_run(run: Run) -> None:
    run.fund()
    for step in CYCLE_NAMES:
        run.transfer(60)
        worker = run.start(failpoint=f"{step}:2")
        while worker.process.poll() is None:
            run.transfer(5, rate_per_s=200)
        assert worker.exited() == -signal.SIGKILL, (step, worker.stderr)
        assert f"failpoint {step}" in worker.stderr
    survivor = run.start()
    run.transfer(100)
    run.wait_decided()
    assert survivor.stop() == 0
    assert run.differences() == []


def test_a_kill_during_the_restore_leaves_a_right_run(run: Run) -> None:
    run.fund()
    run.transfer(300)
    first = run.start()
    run.wait_decided()
    first.signal(signal.SIGKILL)
    first.exited()
    run.transfer(50)
    for nth in (1, 2):
        worker = run.start(failpoint=f"mid_restore:{nth}")
        assert worker.exited() == -signal.SIGKILL, worker.stderr
    run.start()
    run.wait_decided()
    assert run.differences() == []


@pytest.mark.parametrize("step", ["before_commit", *by_night("after_consume")])
def test_a_zombie_that_wakes_after_its_session_is_fenced(run: Run, step: str) -> None:
    """Stopped with records in hand, or with records already written: another worker has done its work meanwhile."""
    run.fund()
    zombie = run.start(0, failpoint=f"{step}:3:stop")
    run.start(1)
    while not zombie.is_stopped():
        run.transfer(10, rate_per_s=200)
    run.transfer(50)
    run.wait_decided()  # its session (6 s) has ended, and the other worker has decided everything
    zombie.signal(signal.SIGCONT)
    assert zombie.exited() == EXIT_CRASHED
    assert "millrace: crash:" in zombie.stderr
    assert run.differences() == []


def test_a_second_worker_with_the_same_slot_fences_the_first(run: Run) -> None:
    run.fund()
    first = run.start(0)
    run.transfer(50)
    run.wait_decided()
    second = run.start(0)
    deadline = time.monotonic() + 20
    while first.process.poll() is None and time.monotonic() < deadline:
        run.transfer(10, rate_per_s=100)
    assert first.exited(1) == EXIT_CRASHED, first.stderr
    run.transfer(50)
    run.wait_decided()
    assert second.stop() == 0, second.stderr
    assert run.differences() == []


def test_poison_goes_to_quarantine_in_the_same_transaction(run: Run) -> None:
    run.fund()
    for number in range(12):
        run.poison(f"not a command {number}".encode(), number % 4)
        run.transfer(10)
    killed = run.start(failpoint="after_flush:1")
    assert killed.exited() == -signal.SIGKILL, killed.stderr
    run.start()
    run.wait_decided()
    assert run.differences() == []


@pytest.mark.night
def test_a_stall_longer_than_the_transaction_ends_the_worker_or_leaves_it_right(run: Run) -> None:
    """The broker aborts the open transaction (5 s); the worker must not commit what was aborted."""
    run.fund()
    stalled = run.start(failpoint="after_flush:3:stop", MILLRACE_SESSION_TIMEOUT_MS="30000")
    while not stalled.is_stopped():
        run.transfer(10, rate_per_s=200)
    time.sleep(8)  # the 5 s time-out, and the broker looks for expired transactions every 10 s at worst
    stalled.signal(signal.SIGCONT)
    time.sleep(1)
    if stalled.process.poll() is not None:
        assert stalled.exited() == EXIT_CRASHED, stalled.stderr
        run.start(MILLRACE_SESSION_TIMEOUT_MS="30000")
    run.transfer(50)
    run.wait_decided()
    assert run.differences() == []
