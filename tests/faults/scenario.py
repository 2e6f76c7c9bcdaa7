"""What a scenario is: one row of the fault matrix, and the note of each moment at which it broke something."""

import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from millrace.environment import LocalEnvironment
from tests.faults.installation import SETTLE_TIMEOUT_S, EnvironmentOf, Installation, Surround, nothing_around
from tests.faults.load import Load


class Fault(NamedTuple):
    """What was done, when, and when the part was given back (the recovery is counted from there)."""

    name: str
    at_s: float
    missing: str = ""
    """What should have happened and did not: a fault that did not take place proves nothing, and is a finding."""


Break = Callable[[Installation, random.Random], Iterator[Fault]]
"""Breaks things once and notes the moments; called again and again until the scenario's time is over.

Seeded: the same seed does the same things in the same order. Nothing outside the installation is touched.
"""


LoadOf = Callable[[LocalEnvironment, int, int], Load]
"""Made with the environment, the seed and the rate."""


class Scenario(NamedTuple):
    """One row of the matrix."""

    what: str
    faults: Break
    duration_s: int = 20
    brokers: int = 1
    load: LoadOf = Load
    others: tuple[str, ...] = ()
    """Services beside workers and sink, as `millrace NAME` starts them."""
    environment: EnvironmentOf = LocalEnvironment
    surround: Surround = nothing_around
    settle_timeout_s: int = SETTLE_TIMEOUT_S
    fresh_each_seed: bool = False
    """What was broken can't be mended for a second run."""


def fault_now(name: str, missing: str = "") -> Fault:
    return Fault(name, time.monotonic(), missing)


def nothing(_: Installation, __: random.Random) -> Iterator[Fault]:
    """Load alone: what the figures of the others compare with."""
    time.sleep(1)
    yield from ()
