"""Killed at every step of the commit cycle, of the restore and of the sink: the books are right (I1–I6)."""

import time

import pytest

from millrace.environment import LocalEnvironment
from runtime.exactly_once.failpoints import NAMES
from tests.pipeline.conftest import assert_books_balance
from tests.pipeline.slots import Slot, ended_afterwards
from tests.pipeline.traffic import Traffic
from tests.support.side_by_side import sampled

BURSTS_MAX, BURST_PAUSE_S = 600, 0.05
"""Half a minute, so that a process that starts slowly still has several cycles."""

WORKER_STEPS = [name for name in NAMES if not name.startswith("sink_") and name != "mid_restore"]
SINK_STEPS = [name for name in NAMES if name.startswith("sink_")]


@pytest.mark.parametrize("step", sampled([*WORKER_STEPS, *SINK_STEPS], 4))
def test_a_process_killed_at_this_step_leaves_the_books_right(stage: LocalEnvironment, step: str) -> None:
    in_sink = step in SINK_STEPS
    victim = Slot(stage, "sink" if in_sink else "worker", failpoint=f"{step}:6")
    other = Slot(stage, "worker" if in_sink else "sink")
    with ended_afterwards(victim, other):
        traffic = Traffic(stage, seed=len(step))
        traffic.open_accounts()
        for _ in range(BURSTS_MAX):
            traffic.pay(20)
            victim.tend()
            if victim.exit_codes:
                break
            time.sleep(BURST_PAUSE_S)
        traffic.pay(100, victim.tend)
        traffic.await_settled(victim.tend)
        assert victim.exit_codes == [-9], "the failpoint was never reached, or more than that went wrong"
    report = assert_books_balance(stage)
    assert report.replayed > 0
    assert report.returned > 0


def test_a_worker_killed_while_it_restores_starts_again(stage: LocalEnvironment) -> None:
    victim = Slot(stage, "worker", failpoint="mid_restore:1")
    sink = Slot(stage, "sink")
    with ended_afterwards(victim, sink):
        traffic = Traffic(stage, seed=5)
        traffic.open_accounts()
        traffic.pay(50)
        traffic.await_settled(victim.tend)
        assert victim.exit_codes == [-9]
    assert_books_balance(stage)
