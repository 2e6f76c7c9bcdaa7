"""Two API processes and a gateway of a test's own, on the folder's Kafka and Postgres; the folder's own API process is
out of service for the gateway meanwhile.
"""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psycopg
import pytest

from ingest_api.discovery.instance import InstanceStatus
from ingest_api.discovery.presence import APP, own_instance
from millrace.environment import ports
from millrace.environment.layout import home_of
from runtime.settings import Settings
from tests.support.waiting import eventually

STOP_S = 90
_OVERRIDE = "UPDATE service_instances SET override = %s WHERE app = %s AND instance_id = %s RETURNING 1"

Process = subprocess.Popen[bytes]


def started(command: str, settings: Settings) -> Process:
    return subprocess.Popen([sys.executable, "-m", "millrace", command], env=os.environ | settings.variables())


@pytest.fixture(scope="module")
def behind(settings: Settings) -> list[Settings]:
    """Settings of two API processes that only the gateway sends to."""
    base = ports.free_base([1, 2])
    changes = {"gateway": True, "gateway_port": base, "api_processes": 2, "api_drain_notice_ms": 5_000}
    return [
        settings.model_copy(
            update=changes
            | {"api_port": base + number, "api_process_id": 40 + number, "auth_trusted_proxies": "127.0.0.1"}
        )
        for number in (1, 2)
    ]


@contextmanager
def _taken_out(settings: Settings) -> Iterator[None]:
    """The folder's own process is overridden by an operator."""
    name = APP, own_instance(settings).instance_id

    def override(status: InstanceStatus) -> bool:
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            return connection.execute(_OVERRIDE.encode(), (status, *name)).fetchone() is not None

    eventually(lambda: override(InstanceStatus.OUT_OF_SERVICE))
    try:
        yield
    finally:
        override(InstanceStatus.UNKNOWN)


class Behind:
    """What runs: a process for each of the settings, and nginx in front of them."""

    def __init__(self, settings: list[Settings], stack: ExitStack) -> None:
        self.settings = settings
        self._stack = stack
        self._home = home_of(settings[0])
        self.processes = [self._started("api", one) for one in settings]
        self.gateway = self._started("gateway", settings[0])
        self.url = f"https://localhost:{settings[0].gateway_port}"
        eventually(lambda: all(_ready(one.api_port) for one in settings) and self.has_all())
        self.context = ssl.create_default_context(cafile=str(self._home.gateway_authority))
        eventually(lambda: _answers(self.url, self.context))

    def has_all(self) -> bool:
        """True where the gateway sends to every process."""
        file = self._home.gateway_configuration
        text = file.read_text() if file.exists() else ""
        return all(f"127.0.0.1:{one.api_port} " in text for one in self.settings)

    def restart(self, number: int) -> None:
        """A process that has ended."""
        self.processes[number] = self._started("api", self.settings[number])

    def _started(self, command: str, settings: Settings) -> Process:
        process = started(command, settings)
        self._stack.callback(_ended, process)
        return process


@contextmanager
def running(settings: Settings, behind: list[Settings]) -> Iterator[Behind]:
    """Until the end of the block."""
    with ExitStack() as stack:
        stack.enter_context(_taken_out(settings))
        yield Behind(behind, stack)


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        return httpx.get(f"{url}/livez", verify=context).status_code == 200
    except httpx.TransportError:
        return False


def _ended(process: Process) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
