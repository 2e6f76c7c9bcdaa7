"""A lean HTTP/1.1 client for load: keep-alive connections, one request in flight on each, parsed by httptools.

About 15 µs a request, so that on a small machine the generator does not measure itself.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httptools

_CLOSED = "the server closed the connection"


class Answer:
    """Status, headers that were asked for, and body of one response."""

    __slots__ = ("body", "headers", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""


class Connection(asyncio.Protocol):
    """One keep-alive connection. `ask` may be called again once its answer is there."""

    def __init__(self) -> None:
        self._parser: Any = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._answer = Answer()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError(_CLOSED))

    def ask(self, request: bytes) -> "asyncio.Future[Answer]":
        """Send a whole request. Raises ConnectionError where the server has closed the connection in between."""
        if self._transport.is_closing():
            raise ConnectionError(_CLOSED)
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        self._transport.close()

    def data_received(self, received: bytes) -> None:
        self._parser.feed_data(received)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._answer.body += body

    def on_message_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        assert self._waiting is not None, "an answer without a request"
        if not self._waiting.done():
            self._waiting.set_result(self._answer)


class LoadClient:
    """A number of connections to one server."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._fixed = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        self.connections: list[Connection] = []

    async def connect(self, count: int) -> None:
        """Open this many connections in all."""
        loop = asyncio.get_running_loop()
        while len(self.connections) < count:
            _, connection = await loop.create_connection(Connection, self._host, self._port)
            self.connections.append(connection)

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """The bytes of a request; keyword names stand for header names with dashes."""
        named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {path} HTTP/1.1\r\n{self._fixed}{named}Content-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    async def run(self, requests: Iterator[bytes], connections: int, seen: Callable[[Answer], None]) -> None:
        """Closed loop: every connection sends its next request when the last one is answered."""
        await self.connect(connections)

        async def work(connection: Connection) -> None:
            for request in requests:
                seen(await connection.ask(request))

        async with asyncio.TaskGroup() as group:
            for connection in self.connections[:connections]:
                group.create_task(work(connection))

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        self.connections.clear()
