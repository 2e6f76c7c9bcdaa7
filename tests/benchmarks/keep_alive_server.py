"""A small HTTP/1.1 server that keeps its connections: it answers what a function says, and counts what was at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple


class Received(NamedTuple):
    """One request as it came over the line."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


Respond = Callable[[Received], bytes]
"""The bytes of the answer; none at all cut the connection."""


class KeepAliveServer:
    """Counts connections, and requests that are open at the same time."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self.received: list[Received] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while True:
                received = await _read(reader, number)
                self.received.append(received)
                self.open += 1
                self.most_open = max(self.most_open, self.open)
                await asyncio.sleep(0.001)
                self.open -= 1
                if not (answer := self._respond(received)):
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        writer.close()


async def _read(reader: asyncio.StreamReader, connection: int) -> Received:
    first, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    return Received(first, headers, await reader.readexactly(int(headers["content-length"])), connection)


def answer(status: int, body: bytes = b"", *fields: str) -> bytes:
    """A whole response."""
    return "\r\n".join([f"HTTP/1.1 {status} X", *fields, f"Content-Length: {len(body)}", "", ""]).encode() + body


@asynccontextmanager
async def keep_alive_server(respond: Respond) -> AsyncIterator[tuple[KeepAliveServer, str]]:
    """The server and its URL."""
    script = KeepAliveServer(respond)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    async with server:
        yield script, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
