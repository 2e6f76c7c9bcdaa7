"""Everything that an order goes through, killed in turn: workers, the connectors, and the provider."""

import random
import signal
import time
from collections.abc import Iterator

from connectors.sandbox.faults import FaultKind
from tests.faults.commerce.environment import WithProvider
from tests.faults.installation import Installation
from tests.faults.scenario import Fault, fault_now

CONNECTORS = "connectors"
LOSES_ANSWERS = (FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER, FaultKind.ERROR_AFTER, FaultKind.KILL_AFTER)


def each_in_turn(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Each until the next one is due, in an order that the seed chooses."""
    assert isinstance(installation.env, WithProvider)
    provider = installation.env.provider
    for kept in rng.sample([*installation.workers, installation.others[CONNECTORS]], 3):
        time.sleep(rng.uniform(1, 3))
        kept.signal(signal.SIGKILL)
        yield fault_now(f"kill -9 {kept.name}")
    lost = rng.choice(LOSES_ANSWERS)
    provider.fault(lost)
    time.sleep(rng.uniform(1, 2))
    yield fault_now(f"{lost} of the provider")
    provider.kill()
    yield fault_now("kill -9 provider")
    time.sleep(rng.uniform(0.5, 2))
    provider.start()
