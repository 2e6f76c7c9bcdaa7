"""Goal: every API process behind the gateway is replaced under load, no call fails, and each is decided once.

Method: two processes and a gateway of their own on the folder's Kafka and Postgres; the folder's own API process is out
of service for the gateway meanwhile. Callers connect anew for each call, so that none is repeated.
"""

import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psycopg
import pytest

from ingest_api.discovery.instance import InstanceStatus
from ingest_api.discovery.presence import APP, own_instance
from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.environment import ports
from millrace.environment.layout import home_of
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient
from tests.support.waiting import eventually

_OVERRIDE = "UPDATE service_instances SET override = %s WHERE app = %s AND instance_id = %s RETURNING 1"
_STOP_S = 90
_PAUSE_S = 0.1
"""Between two calls of one caller: the rest of the machine goes on."""

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
def taken_out(settings: Settings) -> Iterator[None]:
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


class Callers:
    """Threads that pay a cent with each call and remember every answer."""

    def __init__(self, url: str, context: ssl.SSLContext, token: str, parties: tuple[str, str]) -> None:
        self._api = ApiClient(url, token)
        self._api.http.close()
        self._api.http = httpx.Client(
            base_url=url,
            verify=context,
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=_STOP_S,
            headers={"Authorization": f"Bearer {token}"},
        )
        self._parties = parties
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(2)]
        self.answers: list[httpx.Response | httpx.TransportError] = []

    def _call(self) -> None:
        while not self._enough.wait(_PAUSE_S):
            try:
                self.answers.append(self._api.transfer(*self._parties, "0.01", wait_s=1))
            except httpx.TransportError as error:
                self.answers.append(error)

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()
        self._api.http.close()


def test_every_process_is_replaced_and_no_call_fails(
    settings: Settings, behind: list[Settings], api: ApiClient
) -> None:
    parties = api.funded_account("1000.00"), api.open_account()
    home = home_of(settings)
    with ExitStack() as stack:
        stack.enter_context(taken_out(settings))
        processes = [started("api", one) for one in behind]
        gateway = started("gateway", behind[0])
        stack.callback(ended, [*processes, gateway])

        def sent_to() -> set[int]:
            text = home.gateway_configuration.read_text() if home.gateway_configuration.exists() else ""
            return {one.api_port for one in behind if f"127.0.0.1:{one.api_port} " in text}

        url, everyone = f"https://localhost:{behind[0].gateway_port}", {one.api_port for one in behind}
        eventually(lambda: all(ready(one.api_port) for one in behind) and sent_to() == everyone)
        context = ssl.create_default_context(cafile=str(home.gateway_authority))
        eventually(lambda: answers(url, context))
        token = issue_token(settings, "tester", ALL_SCOPES, 600)
        with Callers(url, context, token, parties) as callers:
            for number, own in enumerate(behind):
                processes[number].send_signal(signal.SIGTERM)
                assert processes[number].wait(_STOP_S) == 0
                processes[number] = started("api", own)
                stack.callback(ended, [processes[number]])
                eventually(lambda: sent_to() == everyone, "the new process is behind the gateway")
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(_STOP_S) == 0
    assert {getattr(answer, "status_code", repr(answer)) for answer in callers.answers} <= {201, 202}
    posted = [answer for answer in callers.answers if isinstance(answer, httpx.Response)]
    assert len({answer.json()["id"] for answer in posted}) == len(posted) > 20
    assert {answer.headers["x-request-id"] for answer in posted}
    eventually(lambda: api.balance_minor(parties[1], posted[-1]) == len(posted), "a cent of each call, once")


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        return httpx.get(f"{url}/livez", verify=context).status_code == 200
    except httpx.TransportError:
        return False


def ended(processes: list[Process]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
