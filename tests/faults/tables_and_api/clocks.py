"""The wall clock of broker, workers and sink jumps by an hour, forwards and backwards.

Decisions take their time from the broker's log; nothing else may depend on a wall clock.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from millrace.environment import LocalEnvironment
from millrace.supervisor.service import Service
from runtime.settings import Settings
from tests.faults.installation import Around, Installation, NothingAround
from tests.faults.scenario import Fault, fault_now
from tests.support.fake_clock import SEEN_AFTER_S, FakeClock

HOUR_S = 3_600


class OneClock(LocalEnvironment):
    """An environment whose brokers read a clock that can be set."""

    def __init__(self, settings: Settings, *, brokers: int, pipeline: bool) -> None:
        super().__init__(settings, brokers=brokers, pipeline=pipeline)
        self._folder = tempfile.TemporaryDirectory(prefix="millrace-clock-")
        self.clock = FakeClock(Path(self._folder.name))

    def _prepare_kafka(self) -> list[Service]:
        return [
            msgspec.structs.replace(service, env={**service.env, **self.clock.native_variables()})
            for service in super()._prepare_kafka()
        ]


@contextmanager
def one_clock(env: LocalEnvironment, _: Path) -> Iterator[Around]:
    """For `Scenario.surround`, with OneClock as its environment: the services read the brokers' clock."""
    assert isinstance(env, OneClock)
    yield NothingAround(env.clock.python_variables())
    env.clock.set(0)


def clock_jump(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Away from the true time, and back to it: one of the two is a step into the past."""
    env = installation.env
    assert isinstance(env, OneClock)
    ahead = rng.choice((-HOUR_S, HOUR_S))
    for offset_s in (ahead, 0):
        time.sleep(rng.uniform(2, 4))
        env.clock.set(offset_s)
        yield fault_now(f"the clock is {offset_s:+d} s from the true time")
        time.sleep(SEEN_AFTER_S + rng.uniform(3, 5))
