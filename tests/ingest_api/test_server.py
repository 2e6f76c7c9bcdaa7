"""The process: several share a port, SIGTERM loses nothing that was accepted, a start that fails says why."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from ingest_api.server import listening_socket
from millrace.environment import ports
from payments.lifecycle import PaymentStatus
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient, transfer_line
from tests.ingest_api.conftest import Paused

Started = Callable[..., subprocess.Popen[bytes]]


def until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        assert process.poll() is None, "the process ended"
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("not ready within 30 s")


@pytest.fixture
def port() -> int:
    return ports.free_base([])


@pytest.fixture
def started(settings: Settings, port: int) -> Iterator[Started]:
    """`started(1, processes=2)`: process 1 of two on this test's port."""
    running: list[subprocess.Popen[bytes]] = []

    def start(process_id: int, *, processes: int = 1, **environment: str) -> subprocess.Popen[bytes]:
        named = {
            "MILLRACE_HOME": str(settings.home),
            "MILLRACE_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "MILLRACE_DATABASE_URL": settings.database_url,
            "MILLRACE_API_PORT": str(port),
            "MILLRACE_API_PROCESS_ID": str(process_id),
            "MILLRACE_API_PROCESSES": str(processes),
        }
        command = [sys.executable, "-m", "millrace", "api"]
        running.append(subprocess.Popen(command, env=os.environ | named | environment, stderr=subprocess.PIPE))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def caller(settings: Settings, port: int) -> Iterator[ApiClient]:
    client = ApiClient(f"http://127.0.0.1:{port}", issue_token(settings, "tester", ALL_SCOPES, 600))
    yield client
    client.http.close()


def test_sigterm_answers_the_calls_that_wait_and_loses_nothing(
    started: Started, caller: ApiClient, api: ApiClient, port: int, paused: Paused
) -> None:
    process = started(11)
    until_ready(f"http://127.0.0.1:{port}", process)
    payer, payee = api.funded_account("100.00"), api.open_account()
    answers: list[httpx.Response] = []
    with paused("worker-0"):
        waiting = [
            threading.Thread(target=lambda: answers.append(caller.transfer(payer, payee, "1.00", wait_s=30)))
            for _ in range(5)
        ]
        for thread in waiting:
            thread.start()
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        for thread in waiting:
            thread.join(10)
        assert process.wait(20) == 0
    assert [answer.status_code for answer in answers] == [202] * 5
    assert {answer.json()["status"] for answer in answers} == {PaymentStatus.RECEIVED}
    for answer in answers:
        seen = api.get(answer.headers["Location"], answer)
        assert seen.json()["status"] == PaymentStatus.POSTED


def test_under_load_sigterm_answers_what_it_took(
    started: Started, caller: ApiClient, api: ApiClient, port: int
) -> None:
    """Whatever was answered 202 is posted; calls without an answer may be repeated with their keys."""
    process = started(12)
    until_ready(f"http://127.0.0.1:{port}", process)
    payer, payee = api.funded_account("10000.00"), api.open_account()
    accepted: list[httpx.Response] = []

    def push() -> None:
        while True:
            try:
                response = caller.batch([transfer_line(payer, payee, "0.01") for _ in range(100)])
            except httpx.TransportError:
                return
            assert response.status_code == 202, response.text
            accepted.append(response)

    pushers = [threading.Thread(target=push) for _ in range(3)]
    for thread in pushers:
        thread.start()
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    for thread in pushers:
        thread.join(10)
    assert len(accepted) > 3
    received_minor = 0
    for response in accepted:
        received_minor = max(received_minor, api.balance_minor(payee, response))
    assert received_minor >= 100 * len(accepted)
    assert received_minor % 100 == 0


def test_several_processes_share_the_port_and_each_hears_its_replies(
    started: Started, settings: Settings, api: ApiClient, port: int
) -> None:
    processes = [started(number, processes=2) for number in (13, 14)]
    for process in processes:
        until_ready(f"http://127.0.0.1:{port}", process)
    payer, payee = api.funded_account("100.00"), api.open_account()
    token = issue_token(settings, "tester", ALL_SCOPES, 600)
    served_by: set[str] = set()
    for _ in range(40):  # a connection each: the kernel spreads them; one process alone has a chance of 2⁻³⁹
        caller = ApiClient(f"http://127.0.0.1:{port}", token)
        response = caller.transfer(payer, payee, "0.01")
        assert response.status_code == 201, response.text
        served_by.add(response.headers["x-request-id"].partition("-")[0])
        caller.http.close()
    assert len(served_by) == 2


def test_a_taken_port_is_an_error(settings: Settings, port: int) -> None:
    own = settings.model_copy(update={"api_port": port})
    with listening_socket(own) as listener:
        listener.listen()
        with pytest.raises(OSError, match="in use"):
            listening_socket(own)


def test_a_start_that_fails_says_why(started: Started) -> None:
    process = started(15, MILLRACE_SHARDS="7")
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"MILLRACE_SHARDS is 7" in errors


def test_http_1_1_keeps_its_connections_and_its_order(api_url: str, settings: Settings) -> None:
    """Two requests at once on one connection: a hot route and another, answered in their order."""
    url = httpx.URL(api_url)
    token = issue_token(settings, "tester", ALL_SCOPES, 600).encode()
    head = b" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + b"\r\n"
    hot = b"POST /v1/transfers" + head + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    other = b"GET /livez" + head + b"Connection: close\r\n\r\n"
    with socket.create_connection((url.host, url.port or 0), timeout=10) as connection:
        connection.sendall(hot + other)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    first, second = answer.find(b"HTTP/1.1 400"), answer.find(b"HTTP/1.1 200")
    assert 0 == first < second


def test_readiness_names_its_checks(api: ApiClient) -> None:
    ready = api.http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ok",
        "checks": {"accepting": True, "kafka": True, "replies": True, "postgres": True},
    }
