"""Services that the harness owns: each is started again when it ends, and killed or stopped by pid alone."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from millrace.environment import LocalEnvironment

PRODUCT = ("millrace",)
"""The module that runs a service, and its arguments before the service's name."""

RESTART_PAUSE_S = 0.2
STOP_TIMEOUT_S = 20


class Kept:
    """One service of the pipeline, kept running until `end`."""

    def __init__(
        self,
        env: LocalEnvironment,
        name: str,
        command: str,
        logs: Path,
        variables: Mapping[str, str],
        program: Sequence[str] = PRODUCT,
    ) -> None:
        fields = env.settings.variables()
        self.name = name
        self.exits: list[int] = []
        self.exited_s: list[float] = []
        self.started_s: list[float] = []
        self._once: dict[str, str] = {}
        self._environment = {**os.environ, **fields, **variables}
        self._command = command
        self._argv = [sys.executable, "-m", *program, command]
        self._log = logs / f"{name}.log"
        self._ending = threading.Event()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, name=f"keeper of {name}", daemon=True)
        self._keeper.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: signal.Signals) -> int:
        """Send a signal to the process as it is now; its pid."""
        pid = self._process.pid
        if self._process.poll() is None:
            os.kill(pid, number)
        return pid

    def kill(self) -> int:
        """Kill -9 the process that runs, or the next one where it has just ended; how many exits there were before."""
        exits = self._exits_before_this_one()
        self.signal(signal.SIGKILL)
        return exits

    def kill_and_start_with(self, variables: Mapping[str, str]) -> int:
        """As `kill`, and the next incarnation, and only that one, gets these variables (a failpoint); how many exits
        there are before its own.
        """
        exits = self._exits_before_this_one()
        self.next_start_with(variables)
        self.signal(signal.SIGKILL)
        return exits + 1

    def next_start_with(self, variables: Mapping[str, str]) -> None:
        """The incarnation after the one that runs, and only that one, gets these variables (a failpoint)."""
        self._once = dict(variables)

    def run_from_now_on(self, program: Sequence[str]) -> None:
        """Every later incarnation is run by this program: another release."""
        self._argv = [sys.executable, "-m", *program, self._command]

    def exit_after(self, count: int, timeout_s: float) -> int | None:
        """The exit code that follows the first `count` ones, waited for; None where it does not come in time."""
        deadline_s = time.monotonic() + timeout_s
        while len(self.exits) <= count and time.monotonic() < deadline_s:
            time.sleep(0.05)
        return self.exits[count] if len(self.exits) > count else None

    def is_started(self, count: int, timeout_s: float) -> bool:
        """Whether it was started so many times, or comes to it in time: what was armed is running then."""
        deadline_s = time.monotonic() + timeout_s
        while len(self.started_s) < count and time.monotonic() < deadline_s:
            time.sleep(0.05)
        return len(self.started_s) >= count

    def is_stopped_within(self, timeout_s: float) -> bool:
        """Whether the process is in the state of SIGSTOP, or comes into it in time."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            with contextlib.suppress(psutil.NoSuchProcess):
                if psutil.Process(self.pid).status() == psutil.STATUS_STOPPED:
                    return True
            time.sleep(0.05)
        return False

    def end(self) -> None:
        """SIGCONT and SIGTERM, then SIGKILL."""
        self._ending.set()
        for number in (signal.SIGCONT, signal.SIGTERM):
            self.signal(number)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._keeper.join()

    def _exits_before_this_one(self) -> int:
        """Where it has just ended, its successor is waited for: what would be armed or killed now is not there yet."""
        while self._process.poll() is not None and not self._ending.is_set():
            time.sleep(0.01)
        return len(self.exits)

    def _start(self) -> "subprocess.Popen[bytes]":
        variables, self._once = {**self._environment, **self._once}, {}
        self.started_s.append(time.monotonic())
        with self._log.open("ab") as log:
            return subprocess.Popen(self._argv, env=variables, stdout=log, stderr=log)

    def _keep(self) -> None:
        while not self._ending.is_set():
            try:
                code = self._process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            if self._ending.is_set():
                return
            self.exited_s.append(time.monotonic())
            self.exits.append(code)
            time.sleep(RESTART_PAUSE_S)
            self._process = self._start()
