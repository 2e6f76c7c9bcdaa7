"""A supervisor process for tests: runs a plan of small scripts in a temporary home and is asked over its socket."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from millrace.environment.layout import Home
from millrace.supervisor.control import Answer, Request, ServiceStatus, SupervisorStatus, ask
from millrace.supervisor.service import Plan, Service
from tests.support.waiting import eventually

_STOP_S = 15.0


def script(name: str, code: str, **options: object) -> Service:
    """A service that runs this Python code."""
    fields = {"group": name, **options}
    return msgspec.convert({"name": name, "argv": [sys.executable, "-S", "-c", code], **fields}, Service)


def sleeper(name: str, **options: object) -> Service:
    """A service that does nothing until it is told to end."""
    return script(name, "import time; time.sleep(600)", **options)


def service_status(name: str, **changes: object) -> ServiceStatus:
    """How a supervisor reports a service that runs well, changed."""
    well = {"state": "ready", "pid": 1, "restarts": 0, "exits_recently": 0, "alarm": False, "last_exit_code": None}
    return msgspec.convert({"name": name, **well, "uptime_ms": 1, "log": f"{name}.log", **changes}, ServiceStatus)


@dataclass
class RunningSupervisor:
    """The process and its home."""

    process: subprocess.Popen[bytes]
    home: Home

    def ask(self, command: str, service: str = "") -> Answer:
        return ask(self.home.control_socket, msgspec.convert({"command": command, "service": service}, Request))

    def status(self) -> SupervisorStatus:
        status = self.ask("status").status
        assert status is not None
        return status

    def service(self, name: str) -> ServiceStatus:
        return next(service for service in self.status().services if service.name == name)

    def answers(self) -> bool:
        """False also for the moment in which its socket lies there and nobody listens yet."""
        try:
            self.ask("status")
        except OSError:
            return False
        return True

    def wait_ready(self) -> SupervisorStatus:
        eventually(lambda: self.answers() and self.status().phase == "ready", "supervisor ready")
        return self.status()

    def log(self) -> str:
        return self.home.log("supervisor").read_text()


@contextmanager
def supervising(root: Path, services: list[Service]) -> Iterator[RunningSupervisor]:
    """Run the plan until the block ends; the supervisor ends with its lifeline."""
    home = Home(root)
    home.logs.mkdir(parents=True)
    home.write(home.plan, msgspec.json.encode(Plan(str(root), services)))
    with home.log("supervisor").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "millrace.supervisor", str(home.plan), "--lifeline"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield RunningSupervisor(process, home)
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(_STOP_S)
