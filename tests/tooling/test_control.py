"""Goal: a supervisor answers each request with the state or an error that names what there is, and only to its owner.

Method: the real socket with a scripted handler; the supervisor's own handler over services that never start.
"""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millrace.environment import connection
from millrace.environment.connection import ask_supervisor, connected, running_supervisor
from millrace.environment.faults import NotRunning
from millrace.environment.layout import Addresses, Home
from millrace.supervisor.control import Answer, Request, SupervisorStatus, ask, serve
from millrace.supervisor.service import Plan, Service
from millrace.supervisor.supervisor import Supervisor
from runtime.settings import Settings
from tests.support.supervision import service_status

IDLE = SupervisorStatus(1, "ready", [])


async def asked(path: Path, handle: Callable[[Request], Answer], request: Request) -> Answer:
    async with await serve(path, handle):
        return await asyncio.to_thread(ask, path, request)


def sent(path: Path, line: bytes) -> bytes:
    """Bytes as they are, and what came back."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(line)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as reader:
            return reader.readline()


@pytest.mark.parametrize("request_", [Request("status"), Request("kill", "worker-0"), Request("stop")])
async def test_a_request_arrives_as_it_was_asked(tmp_path: Path, request_: Request) -> None:
    seen: list[Request] = []

    def handle(request: Request) -> Answer:
        seen.append(request)
        return Answer(status=IDLE, pid=7)

    assert await asked(tmp_path / "s", handle, request_) == Answer(status=IDLE, pid=7)
    assert seen == [request_]


async def test_the_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whoever may write to it may kill the books' servers."""
    before = os.umask(0o022)
    try:
        async with await serve(tmp_path / "s", lambda _: Answer()):
            assert stat.S_IMODE((tmp_path / "s").stat().st_mode) & 0o177 == 0
        assert os.umask(0o022) == 0o022, "files made later have their usual modes"
    finally:
        os.umask(before)


async def test_a_socket_left_by_a_supervisor_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    assert (tmp_path / "s").exists()
    assert await asked(tmp_path / "s", lambda _: Answer(status=IDLE), Request("status")) == Answer(status=IDLE)


@pytest.mark.parametrize(
    "line", [b"\n", b"status\n", b"{}\n", b'{"command":"fly"}\n', b'{"command":"kill","service":7}\n', b"\xff\n", b"{"]
)
async def test_what_is_no_request_is_answered_as_such_and_carried_out_by_nobody(tmp_path: Path, line: bytes) -> None:
    def handle(_: Request) -> Answer:
        raise AssertionError("not a request")

    async with await serve(tmp_path / "s", handle):
        answer = json.loads(await asyncio.to_thread(sent, tmp_path / "s", line))
    assert answer["error"].startswith("not a request: ")
    assert answer["status"] is None


async def test_a_bad_request_does_not_end_the_service(tmp_path: Path) -> None:
    async with await serve(tmp_path / "s", lambda _: Answer(status=IDLE)):
        await asyncio.to_thread(sent, tmp_path / "s", b"nonsense\n")
        assert (await asyncio.to_thread(ask, tmp_path / "s", Request("status"))).status == IDLE


async def test_an_answer_that_never_comes_is_an_error_and_no_empty_state(tmp_path: Path) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_unix_server(hang_up, tmp_path / "s"):
        with pytest.raises(OSError):  # noqa: PT011 - reset by the peer, or closed without an answer
            await asyncio.to_thread(ask, tmp_path / "s", Request("status"))


def test_only_services_that_keep_crashing_are_alarms() -> None:
    broken, fine = service_status("sink", alarm=True), service_status("api-0", alarm=False)
    assert SupervisorStatus(1, "ready", [fine, broken]).alarms == [broken]


@pytest.fixture
def idle(tmp_path: Path) -> Supervisor:
    """Knows two services, has started none."""
    services = [Service(name=name, argv=["true"], group=name) for name in ("broker", "sink")]
    return Supervisor(Plan(str(tmp_path), services))


def test_the_state_names_every_service_before_any_has_started(idle: Supervisor) -> None:
    status = idle._handle(Request("status")).status
    assert status is not None
    assert (status.pid, status.phase) == (os.getpid(), "starting")
    assert [(one.name, one.state, one.pid) for one in status.services] == [
        ("broker", "waiting", None),
        ("sink", "waiting", None),
    ]


@pytest.mark.parametrize("command", ["kill", "restart"])
def test_a_service_that_does_not_exist_is_refused_with_the_names_that_do(idle: Supervisor, command: Any) -> None:
    answer = idle._handle(Request(command, "snik"))
    assert answer.error == "no service 'snik'; there are: broker, sink"
    assert answer.pid is None


@pytest.mark.parametrize("command", ["kill", "restart"])
def test_a_service_that_does_not_run_cannot_be_killed(idle: Supervisor, command: Any) -> None:
    answer = idle._handle(Request(command, "sink"))
    assert (answer.error, answer.pid) == ("sink does not run at the moment", None)


def test_a_status_of_many_services_fits_one_line(tmp_path: Path) -> None:
    """The client reads at most 1 MiB: 300 bytes a service leave room for thousands."""
    services = [Service(name=f"worker-{slot}", argv=["true"], group="workers") for slot in range(64)]
    line = msgspec.json.encode(Supervisor(Plan(str(tmp_path), services))._handle(Request("status")))
    assert b"\n" not in line
    assert len(line) < 64 * 1_024


def test_nobody_listening_is_said_with_the_command_that_changes_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(NotRunning, match=r"no environment runs in .*: `millrace up` starts one"):
        ask_supervisor(home, Request("stop"))
    assert running_supervisor(home) is None


ADDRESSES = Addresses("127.0.0.1:1", "postgresql://u@127.0.0.1:2/x", 3, 3)


def settings_in(home: Path, monkeypatch: pytest.MonkeyPatch, *, runs: bool, **fields: Any) -> Settings:
    """Settings of a home whose environment was brought up once, and runs or not."""
    for name in ("KAFKA_BOOTSTRAP", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"MILLRACE_{name}", raising=False)
    Home(home).write(Home(home).addresses, msgspec.json.encode(ADDRESSES))
    monkeypatch.setattr(connection, "running_supervisor", lambda _: IDLE if runs else None)
    return Settings(home=home, **fields)


def test_a_command_talks_to_the_servers_that_run_in_its_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = connected(settings_in(tmp_path, monkeypatch, runs=True))
    assert (found.kafka_bootstrap, found.database_url) == (ADDRESSES.kafka_bootstrap, ADDRESSES.database_url)
    assert found.replication_factor == 3


def test_servers_that_somebody_named_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = settings_in(tmp_path, monkeypatch, runs=True, kafka_bootstrap="own:9092")
    assert connected(own).kafka_bootstrap == "own:9092"
    assert connected(own).replication_factor == own.replication_factor, "it belongs to the other cluster"
    assert connected(own).database_url == ADDRESSES.database_url
    both = settings_in(tmp_path, monkeypatch, runs=True, kafka_bootstrap="own:9092", database_url="postgresql://own/x")
    assert connected(both).database_url == "postgresql://own/x"


def test_addresses_of_an_environment_that_is_down_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = settings_in(tmp_path, monkeypatch, runs=False)
    assert connected(own) == own
    Home(tmp_path).addresses.unlink()
    monkeypatch.setattr(connection, "running_supervisor", lambda _: IDLE)
    assert connected(own) == own
