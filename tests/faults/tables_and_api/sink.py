"""Faults of the sink: killed before and after COMMIT."""

import random
import signal
import time
from collections.abc import Iterator

from tests.faults.installation import Installation
from tests.faults.scenario import Fault, fault_now

SINK_STEPS = ("sink_before_commit", "sink_after_commit")


def sink_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    step = rng.choice(SINK_STEPS)
    installation.sink.next_start_with({"MILLRACE_FAILPOINT": f"{step}:{rng.randrange(1, 30)}"})
    installation.sink.signal(signal.SIGKILL)
    yield fault_now(f"kill -9 sink, then at {step}")
    time.sleep(rng.uniform(2, 4))
