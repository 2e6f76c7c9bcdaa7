"""The parent process: starts groups in order, keeps services running, answers its control socket, stops in reverse.

Reads a plan; keeps one `Supervised` per service; writes pids and a log. Ends on SIGTERM, on the request "stop", and
when its lifeline (a pipe on stdin, held by whoever wants the environment to end with itself) is closed.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from millrace.environment.layout import Home
from millrace.supervisor import child, control
from millrace.supervisor.control import Answer, Phase, Request, SupervisorStatus
from millrace.supervisor.service import Plan, groups_of
from millrace.supervisor.supervised import Supervised

_LOG = logging.getLogger("millrace.supervisor")


class Supervisor:
    """One environment's processes."""

    def __init__(self, plan: Plan) -> None:
        self._home = Home(Path(plan.home))
        self._groups = [
            [Supervised(service, self._home.log(service.name), self._write_pids) for service in group]
            for group in groups_of(plan)
        ]
        self._stopping = asyncio.Event()
        self._phase: Phase = "starting"

    @property
    def _all(self) -> list[Supervised]:
        return [supervised for group in self._groups for supervised in group]

    async def run(self, *, lifeline: bool) -> None:
        """Until told to stop; returns when every child is gone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        if lifeline:
            loop.add_reader(sys.stdin.fileno(), self._stopping.set)  # nobody writes: readable means closed
        server = await control.serve(self._home.control_socket, self._handle)
        start = asyncio.create_task(self._start_groups())
        await self._stopping.wait()
        start.cancel()
        self._phase = "stopping"
        if lifeline:
            loop.remove_reader(sys.stdin.fileno())
        for group in reversed(self._groups):
            await asyncio.gather(*(supervised.stop() for supervised in group))
        server.close()
        self._home.control_socket.unlink(missing_ok=True)
        self._home.pids.unlink(missing_ok=True)

    async def _start_groups(self) -> None:
        for group in self._groups:
            for supervised in group:
                supervised.start()
            for supervised in group:
                await supervised.ready.wait()
        self._phase = "ready"
        _LOG.info("ready")

    def _reap(self) -> None:
        for supervised in self._all:
            supervised.on_child_exit()

    def _write_pids(self) -> None:
        marks = [child.footprint(one.pid, one.service) for one in self._all if one.pid]
        try:
            child.write_footprints(self._home.pids, [mark for mark in marks if mark])
        except OSError as error:  # services go on without it: on a full disk each exit would be the last otherwise
            _LOG.error("ALARM what runs can't be noted, for who finds this process killed: %s", error)

    def _handle(self, request: Request) -> Answer:
        if request.command == "status":
            return Answer(status=self._status())
        if request.command == "stop":
            self._stopping.set()
            return Answer(status=self._status())
        return self._signal_one(request)

    def _signal_one(self, request: Request) -> Answer:
        named = {supervised.service.name: supervised for supervised in self._all}
        target = named.get(request.service)
        if target is None:
            return Answer(error=f"no service {request.service!r}; there are: {', '.join(named)}")
        pid = target.signal(signal.SIGKILL if request.command == "kill" else target.service.stop_signal)
        if pid is None:
            return Answer(error=f"{request.service} does not run at the moment")
        return Answer(status=self._status(), pid=pid)

    def _status(self) -> SupervisorStatus:
        return SupervisorStatus(os.getpid(), self._phase, [supervised.status() for supervised in self._all])
