"""Faults under a load by HTTP: the API killed or restarted with requests in flight, and every part in turn."""

import random
import signal
import time
from collections.abc import Iterator

from tests.faults.installation import Installation
from tests.faults.scenario import Fault, fault_now

API = "api"


def api_kill(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    time.sleep(rng.uniform(1, 3))
    installation.others[API].signal(signal.SIGKILL)
    yield fault_now("kill -9 api with requests in flight")
    time.sleep(rng.uniform(4, 6))


def api_restart(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """In order: it answers the calls that wait, and ends."""
    time.sleep(rng.uniform(1, 3))
    installation.others[API].signal(signal.SIGTERM)
    yield fault_now("restart of api with requests in flight")
    time.sleep(rng.uniform(4, 6))


def each_in_turn(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Every part of the way of a request, each until the next one is due."""
    parts = [installation.others[API], installation.sink, *installation.workers]
    for kept in rng.sample(parts, len(parts)):
        kept.signal(signal.SIGKILL)
        yield fault_now(f"kill -9 {kept.name}")
        time.sleep(rng.uniform(3, 5))
    pid = installation.env.kill("postgres")
    yield fault_now("kill -9 postgres")
    installation.env.wait_restarted("postgres", pid, 60)
    time.sleep(rng.uniform(2, 4))
