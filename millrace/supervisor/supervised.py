"""The life of one service: started, ready, exited, started again after a pause, stopped.

Reads exit codes (through `on_child_exit`, called on SIGCHLD); keeps the restart history; logs every change.
Guarantees that at most one process of the service runs, and none after `stop` has returned.
"""

import asyncio
import contextlib
import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from millrace.supervisor import child
from millrace.supervisor.control import ServiceStatus, State
from millrace.supervisor.probes import wait_until_ready
from millrace.supervisor.restarts import RestartHistory
from millrace.supervisor.service import Service

_LOG = logging.getLogger("millrace.supervisor")


class Supervised:
    """A service and the process that runs it now."""

    def __init__(self, service: Service, log: Path, on_change: Callable[[], None]) -> None:
        self.service = service
        self.ready = asyncio.Event()
        self._log = log
        self._on_change = on_change
        self._state: State = "waiting"
        self._process: subprocess.Popen[bytes] | None = None
        self._exited = asyncio.Event()
        self._probing = threading.Event()
        self._history = RestartHistory()
        self._pause: asyncio.TimerHandle | None = None
        self._probe_task: asyncio.Task[None] | None = None
        self._restarts = 0
        self._last_exit_code: int | None = None
        self._started_at_s = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Spawn the process; a refusal by the system counts as an exit."""
        self._pause = None
        self._exited.clear()
        self._started_at_s = time.monotonic()
        self._state = "starting"
        try:
            self._process = child.spawn(self.service, self._log)
        except OSError as error:
            _LOG.error("%s: can't start %s: %s", self.service.name, self.service.argv[0], error)
            self._after_exit(127)
            return
        _LOG.info("%s: started, pid %d", self.service.name, self._process.pid)
        self._on_change()
        self._watch_readiness()

    def _watch_readiness(self) -> None:
        self._probing = threading.Event()
        if self.service.one_shot:
            return
        self._probe_task = asyncio.create_task(self._become_ready(self._probing))

    async def _become_ready(self, given_up: threading.Event) -> None:
        probe = self.service.ready
        if probe is not None and not await asyncio.to_thread(wait_until_ready, probe, given_up):
            return
        if not given_up.is_set():
            self._mark_ready("ready")

    def _mark_ready(self, state: State) -> None:
        self._state = state
        self.ready.set()
        _LOG.info("%s: %s after %.1f s", self.service.name, state, time.monotonic() - self._started_at_s)

    def on_child_exit(self) -> None:
        """Some child has exited: see whether it is ours."""
        if self._process is None or (code := self._process.poll()) is None:
            return
        child.kill_group(self._process.pid)
        self._process = None
        self._after_exit(code)

    def _after_exit(self, code: int) -> None:
        self._probing.set()
        self._exited.set()
        self._last_exit_code = code
        self._on_change()
        if self._state == "stopped":
            _LOG.info("%s: stopped (%s)", self.service.name, _meaning(code))
        elif self.service.one_shot and code == 0:
            self._mark_ready("finished")
        else:
            self._start_after_pause(code)

    def _start_after_pause(self, code: int) -> None:
        now_s = time.monotonic()
        pause_s = self._history.record_exit(now_s)
        self.ready.clear()
        self._state = "pausing"
        self._restarts += 1
        _LOG.warning("%s: exited (%s), starts again in %.1f s", self.service.name, _meaning(code), pause_s)
        if self._history.is_alarming(now_s):
            _LOG.error(
                "ALARM %s exited %s, last: %s; see %s",
                *(self.service.name, self._history.said(now_s), _meaning(code), self._log),
            )
        self._pause = asyncio.get_running_loop().call_later(pause_s, self.start)

    def signal(self, number: int) -> int | None:
        """Send a signal to the process; answer its pid, or None when there is none."""
        if self._process is None:
            return None
        self._process.send_signal(number)
        return self._process.pid

    async def stop(self) -> None:
        """Ask it to end, and kill it when it takes longer than it may."""
        was_running, self._state = self._process is not None, "stopped"
        self._probing.set()
        if self._pause:
            self._pause.cancel()
        if not was_running:
            return
        self.signal(self.service.stop_signal)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._exited.wait(), self.service.stop_timeout_ms / 1000)
            return
        _LOG.error("%s: still there after %d ms, killed", self.service.name, self.service.stop_timeout_ms)
        self.signal(signal.SIGKILL)
        await self._exited.wait()

    def status(self) -> ServiceStatus:
        now_s = time.monotonic()
        return ServiceStatus(
            name=self.service.name,
            state=self._state,
            pid=self.pid,
            restarts=self._restarts,
            exits_recently=self._history.exits_recently(now_s),
            alarm=self._history.is_alarming(now_s),
            last_exit_code=self._last_exit_code,
            uptime_ms=int((now_s - self._started_at_s) * 1000) if self._process else 0,
            log=str(self._log),
        )


def _meaning(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
