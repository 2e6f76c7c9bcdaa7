"""How to talk to a running supervisor: a JSON line there, a JSON line back, over a unix socket for its owner alone.

Requests: status, kill (SIGKILL, as a crash would), restart (its stop signal), stop. Nothing else.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

State = Literal["waiting", "starting", "ready", "pausing", "finished", "stopped"]
Phase = Literal["starting", "ready", "stopping"]

_LINE_BYTES_MAX = 1 << 20  # a status is 300 bytes per service
_ANSWER_TIMEOUT_S = 5.0


class ServiceStatus(msgspec.Struct, frozen=True):
    """One service as the supervisor sees it."""

    name: str
    state: State
    pid: int | None
    restarts: int
    exits_recently: int
    alarm: bool
    last_exit_code: int | None
    uptime_ms: int
    log: str


class SupervisorStatus(msgspec.Struct, frozen=True):
    """The whole environment."""

    pid: int
    phase: Phase
    services: list[ServiceStatus]

    @property
    def alarms(self) -> list[ServiceStatus]:
        """Services that keep exiting."""
        return [service for service in self.services if service.alarm]


class Request(msgspec.Struct, frozen=True):
    """`service` names the target of kill and restart."""

    command: Literal["status", "kill", "restart", "stop"]
    service: str = ""


class Answer(msgspec.Struct, frozen=True):
    """Either `error`, or the state after the command was carried out."""

    status: SupervisorStatus | None = None
    error: str = ""
    pid: int | None = None
    """Whom a kill or restart was sent to."""


Handler = Callable[[Request], Answer]


async def serve(path: Path, handle: Handler) -> asyncio.Server:
    """Answer requests until the server is closed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            line = await reader.readline()
            try:
                reply = handle(msgspec.json.decode(line, type=Request))
            except msgspec.DecodeError as error:
                reply = Answer(error=f"not a request: {error}")
            writer.write(msgspec.json.encode(reply) + b"\n")
            await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    mask = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(answer, path, limit=_LINE_BYTES_MAX)
    finally:
        os.umask(mask)


def ask(path: Path, request: Request) -> Answer:
    """Send one request. Raises OSError when nobody listens or nobody answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ANSWER_TIMEOUT_S)
        connection.connect(str(path))
        connection.sendall(msgspec.json.encode(request) + b"\n")
        with connection.makefile("rb") as reader:
            line = reader.readline(_LINE_BYTES_MAX)
    if not line:
        raise ConnectionResetError("the supervisor closed the connection without an answer")
    return msgspec.json.decode(line, type=Answer)
