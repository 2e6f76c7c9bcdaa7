"""`--crash`: kills each part once while the load runs. The supervisor restarts what it killed."""

import time
from collections.abc import Callable
from typing import NamedTuple

from millrace.environment import LocalEnvironment


class Crash(NamedTuple):
    """One kill -9, and when."""

    service: str
    at_percent: int
    killed_at_s: float


def victims(env: LocalEnvironment) -> list[str]:
    """Every worker, the sink, the API and the broker, in the order in which they are killed."""
    names = [service.name for service in env.status().services]
    wanted = ("worker", "sink", "api", "broker", "kafka")
    return [name for prefix in wanted for name in names if name.split("-")[0] == prefix]


class CrashSchedule:
    """Spreads the kills evenly over the load, by payments accepted."""

    def __init__(self, env: LocalEnvironment, clock: Callable[[], float] = time.monotonic) -> None:
        self._env = env
        self._clock = clock
        names = victims(env)
        self._waiting = [(name, 100 * (at + 1) // (len(names) + 1)) for at, name in enumerate(names)]
        self.done: list[Crash] = []

    def progress(self, accepted: int, total: int) -> Crash | None:
        """Kill the next part if its share of the load is through."""
        if not self._waiting or accepted * 100 < self._waiting[0][1] * total:
            return None
        name, percent = self._waiting.pop(0)
        self._env.kill(name)
        crash = Crash(name, percent, self._clock())
        self.done.append(crash)
        return crash
