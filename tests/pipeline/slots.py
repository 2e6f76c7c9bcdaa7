"""Worker slots and sinks of a test's own: started, killed by a failpoint, and started again as a supervisor would."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from millrace.environment import LocalEnvironment

RESTART_PAUSE_S = 0.2


class Slot:
    """One service of the pipeline; only its first incarnation has the failpoint."""

    def __init__(
        self, env: LocalEnvironment, command: str, *, slot: int = 0, failpoint: str = "", program: str = "millrace"
    ) -> None:
        fields = env.settings.variables()
        self._environment = {**os.environ, **fields, "MILLRACE_SLOT": str(slot)}
        self._argv = [sys.executable, "-m", program, command]
        self.exit_codes: list[int] = []
        self._process = self._start(failpoint)

    def _start(self, failpoint: str = "") -> "subprocess.Popen[bytes]":
        variables = {**self._environment, "MILLRACE_FAILPOINT": failpoint}
        return subprocess.Popen(self._argv, env=variables, stderr=subprocess.DEVNULL)

    def tend(self) -> None:
        """Start it again if it ended."""
        code = self._process.poll()
        if code is not None:
            self.exit_codes.append(code)
            time.sleep(RESTART_PAUSE_S)
            self._process = self._start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self, failpoint: str) -> None:
        """Kill it; the next incarnation, and only that one, has the failpoint."""
        self.kill()
        self._process = self._start(failpoint)

    def end(self) -> int:
        """SIGTERM; its exit code. Raises subprocess.TimeoutExpired."""
        self._process.terminate()
        return self._process.wait(30)


@contextmanager
def ended_afterwards(*slots: Slot) -> Iterator[None]:
    """Whatever happens, the processes are gone afterwards."""
    try:
        yield
    finally:
        for slot in slots:
            slot.kill()
