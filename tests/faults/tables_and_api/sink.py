"""Faults of the sink: killed before and after COMMIT."""

import random
import signal
import time
from collections.abc import Iterator

from tests.faults.installation import Installation
from tests.faults.scenario import Fault, fault_now

SINK_STEPS = ("sink_before_commit", "sink_after_commit")
BATCHES_MAX = 30
REACHED_TIMEOUT_S = 60.0
"""A start, and at most BATCHES_MAX batches."""


def sink_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """At once, and its next incarnation at a step of a batch: with the rows not yet, or already, in Postgres."""
    sink, step = installation.sink, rng.choice(SINK_STEPS)
    exits = sink.kill_and_start_with({"MILLRACE_FAILPOINT": f"{step}:{rng.randrange(1, BATCHES_MAX)}"})
    yield fault_now("kill -9 sink")
    code = sink.exit_after(exits, REACHED_TIMEOUT_S)
    yield fault_now(f"sink killed at {step}", "" if code == -signal.SIGKILL else f"it ended with {code}")
    time.sleep(rng.uniform(2, 4))
