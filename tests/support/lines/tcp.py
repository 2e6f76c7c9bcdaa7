"""A TCP line to a real server that a test can slow, cut, hold, leave half open and mend.

Reads and writes bytes as they are; what stands behind it is the server itself. Everything happens on the event loop
that mended the line first.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_CHUNK_BYTES = 65_536
_CHUNKS_IN_FLIGHT = 256
"""16 MiB per direction at most; beyond it the sender is made to wait."""

Piece = tuple[float, bytes]
"""When it is due at the other end, and the bytes; none of them: the sender has closed."""


@dataclass(eq=False)
class Connection:
    """A client's connection and the one to the server that belongs to it."""

    client_reader: asyncio.StreamReader
    client: asyncio.StreamWriter
    server_reader: asyncio.StreamReader
    server: asyncio.StreamWriter
    half_open: bool = False
    kinds: set[int] = field(default_factory=set)
    """For a line that knows what it carries: the kinds of request seen on this connection."""

    def lose_server(self) -> None:
        self.half_open = True
        self.server.transport.abort()

    def abort(self) -> None:
        for end in (self.client, self.server):
            end.transport.abort()


class TcpLine:
    """One port in front of one server."""

    def __init__(self, host: str, port: int, own_port: int = 0) -> None:
        self._server_address = (host, port)
        self._listener: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._carrying: set[asyncio.Task[None]] = set()
        self.connections: set[Connection] = set()
        self.latency_s = 0.0
        """In each direction."""
        self.hindered = 0
        """Connections broken and pieces late or held so far: a fault that hindered nothing did not take place."""

        self.port = own_port

    async def mend(self) -> None:
        """Connections are taken, bytes flow; what was held comes through now."""
        self._flowing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Every connection is broken, new ones are refused."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in self.connections:
            connection.abort()
        self.hindered += len(self.connections)
        for way in self._carrying:
            way.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def hold(self) -> None:
        """Connections stay and are taken, nothing comes through: a black hole."""
        self._flowing.clear()

    def leave_half_open(self) -> None:
        """The server loses the connections it has; the clients are not told. New ones work."""
        for connection in self.connections:
            connection.lose_server()
        self.hindered += len(self.connections)

    @property
    def half_open(self) -> int:
        """How many such connections their clients still keep."""
        return sum(connection.half_open for connection in self.connections)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server = await asyncio.open_connection(*self._server_address)
        except OSError:
            writer.transport.abort()
            return
        connection = Connection(reader, writer, server_reader, server)
        self.connections.add(connection)
        tasks = {asyncio.create_task(way) for way in (self._upstream(connection), self._downstream(connection))}
        self._carrying |= tasks
        await asyncio.wait(tasks)
        self._carrying -= tasks
        self.connections.discard(connection)

    async def _upstream(self, connection: Connection) -> None:
        with suppress(OSError):  # the line is cut: the other end learns it below
            await self._convey(connection, connection.client_reader, connection.server)
        if connection.half_open:
            with suppress(OSError):
                while await connection.client_reader.read(_CHUNK_BYTES):
                    pass
        for end in (connection.client, connection.server) if connection.half_open else (connection.server,):
            end.close()

    async def _downstream(self, connection: Connection) -> None:
        with suppress(OSError):
            await self._convey(connection, connection.server_reader, connection.client)
        if not connection.half_open:
            connection.client.close()

    async def _convey(self, connection: Connection, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Bytes in order, each piece `latency_s` after it came."""
        on_the_way: asyncio.Queue[Piece] = asyncio.Queue(_CHUNKS_IN_FLIGHT)
        arriving = asyncio.create_task(self._arrive(on_the_way, target))
        try:
            while piece := await self._next_piece(connection, source):
                await on_the_way.put((time.monotonic() + self.latency_s, piece))
            await on_the_way.put((0.0, b""))
            await arriving
        finally:
            arriving.cancel()

    async def _next_piece(self, connection: Connection, source: asyncio.StreamReader) -> bytes:
        return await source.read(_CHUNK_BYTES)

    async def _arrive(self, on_the_way: asyncio.Queue[Piece], target: asyncio.StreamWriter) -> None:
        """Ends with the sender; what comes after the receiver has gone is dropped."""
        while True:
            due_s, piece = await on_the_way.get()
            if not piece:
                return
            left_s = due_s - time.monotonic()
            self.hindered += left_s > 0 or not self._flowing.is_set()
            if left_s > 0:
                await asyncio.sleep(left_s)
            await self._flowing.wait()
            if target.is_closing():
                continue
            with suppress(OSError):
                target.write(piece)
                await target.drain()


@asynccontextmanager
async def line_to(host: str, port: int) -> AsyncIterator[TcpLine]:
    """A line that is open; cut at the end."""
    line = TcpLine(host, port)
    await line.mend()
    try:
        yield line
    finally:
        await line.mend()
        await line.cut()
