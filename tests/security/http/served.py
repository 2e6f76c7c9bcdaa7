"""The server of the API process with a small application behind it: real sockets, no broker, no database.

The application answers what it was given, so that a test sees what came through. `/late` waits with its answer for
`release`, `/unread` answers without reading the body, `/large` answers eight megabytes.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn

from ingest_api.http.call import Answer, Call, Receive, Send, send_answer
from ingest_api.http.edge.answer_headers import always
from ingest_api.http.edge.connection import Connection, Crowd
from ingest_api.http.edge.head import Edge
from tests.support.waiting import eventually

LARGE = b"x" * (8 * 1024 * 1024)
_BODY_BYTES_MAX = 1024 * 1024
_ENDS_WITHIN_S = 30


class Echo:
    """Tells what reached it."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.reached: list[str] = []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        call = Call.of(scope, receive)
        self.reached.append(call.path)
        if call.path == "/late":
            await self.release.wait()
        body = b"" if call.path == "/unread" else await call.body(_BODY_BYTES_MAX)
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
        told = json.dumps({"path": call.path, "headers": headers, "body": body.decode("latin-1")}).encode()
        await send_answer(send, Answer(200, LARGE if call.path == "/large" else told), call.request_id)


class Served:
    """A server that runs, and the callers' side of it."""

    def __init__(self, server: uvicorn.Server, echo: Echo, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self.echo = echo
        self.port = port
        self._loop = loop

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=_ENDS_WITHIN_S)

    def ask(self, sent: bytes) -> bytes:
        """Everything that comes back until the server closes."""
        with self.connect() as caller:
            caller.sendall(sent)
            return rest_of(caller)

    def look(self, *, after_s: int) -> None:
        """What the server does once a second, as if so much time had passed."""

        def look() -> None:
            for connection in self._connections():
                connection.look(self._loop.time() + after_s)

        self._in_loop(look)

    def release(self) -> None:
        self._in_loop(self.echo.release.set)

    def until_reached(self, path: str) -> None:
        eventually(lambda: path in self.echo.reached, f"a call of {path}")

    def is_alive(self) -> bool:
        """Serves somebody else."""
        return self.ask(b"GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")

    def until_undelivered(self, size: int) -> None:
        """So many bytes have come of what is no call yet."""
        eventually(lambda: any(each._undelivered == size for each in self._connections()), "bytes of a head")

    def until_body(self, size: int) -> None:
        eventually(lambda: any(each._body_bytes == size for each in self._connections()), "bytes of a body")

    def until_unread(self) -> None:
        """An answer is longer than what callers and systems keep of it."""
        eventually(lambda: any(each.flow.write_paused for each in self._connections()), "an answer that waits")

    def _connections(self) -> list[Connection]:
        return [each for each in list(self._server.server_state.connections) if isinstance(each, Connection)]

    def _in_loop(self, act: Any) -> None:
        async def acted() -> None:
            act()

        asyncio.run_coroutine_threadsafe(acted(), self._loop).result(_ENDS_WITHIN_S)


@contextmanager
def serving(crowd: Crowd | None = None) -> Iterator[Served]:
    """A server on a free port, stopped at the end."""
    echo = Echo()
    made = partial(Connection, crowd or Crowd(1_000, 1_000))
    config = uvicorn.Config(
        Edge(echo, ("https://console.example",)),
        http=made,  # type: ignore[arg-type]
        lifespan="off",
        ws="none",
        log_config=None,
        server_header=False,
        date_header=False,
        headers=always(by_tls=True),
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loops: list[asyncio.AbstractEventLoop] = []

        async def run() -> None:
            loops.append(asyncio.get_running_loop())
            await server.serve([listener])

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        try:
            eventually(lambda: server.started, "the server")
            yield Served(server, echo, listener.getsockname()[1], loops[0])
        finally:
            server.should_exit = True
            thread.join(_ENDS_WITHIN_S)


def rest_of(caller: socket.socket) -> bytes:
    """What comes until the other side closes, or drops the connection."""
    received = bytearray()
    try:
        while piece := caller.recv(65_536):
            received += piece
    except ConnectionResetError:
        pass
    return bytes(received)


def one_answer(caller: socket.socket) -> bytes:
    """The next answer, whole, on a connection that stays."""
    with caller.makefile("rb") as reader:
        head = b"".join(iter(reader.readline, b"\r\n"))
        length = next(int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
        return head + b"\r\n" + reader.read(length)


def problem_in(answer: bytes) -> tuple[int, str]:
    """Status and code of the one problem document that an answer is."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower(), answer[:200]
    document = json.loads(body)
    assert document["request_id"].encode() in head
    assert document["errorMessage"] == document["detail"] != ""
    return int(head.split()[1]), document["code"]
