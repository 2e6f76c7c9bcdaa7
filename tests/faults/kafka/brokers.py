"""Faults of the brokers: killed, restarted."""

import random
import time
from collections.abc import Iterator

from tests.faults.installation import Installation
from tests.faults.scenario import Fault, fault_now


def broker_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(2, 4))
    name = rng.choice(broker_names(installation))
    installation.env.kill(name)
    yield fault_now(f"kill -9 {name}")
    time.sleep(10)


def broker_restart(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(2, 4))
    name = rng.choice(broker_names(installation))
    installation.env.restart(name)
    yield fault_now(f"restart of {name}")
    time.sleep(10)


def broker_names(installation: Installation) -> list[str]:
    names = [service.name for service in installation.env.status().services]
    return [name for name in names if name.startswith("broker")]
