"""A TCP line to a real server that a test can cut, hold and mend.

Reads and writes bytes as they are; what stands behind it is the server itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_CHUNK_BYTES = 65_536


class TcpLine:
    """One port in front of one server."""

    def __init__(self, host: str, port: int) -> None:
        self._server_address = (host, port)
        self._listener: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._ends: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self.port = 0

    async def mend(self) -> None:
        """Connections are taken, bytes flow."""
        self._flowing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Every connection is broken, new ones are refused."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*self._carrying)

    def hold(self) -> None:
        """Connections stay, nothing comes through."""
        self._flowing.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._server_address)
        ends, pumps = {writer, server_writer}, (self._pump(reader, server_writer), self._pump(server_reader, writer))
        tasks = {asyncio.create_task(pump) for pump in pumps}
        self._ends |= ends
        self._carrying |= tasks
        await asyncio.wait(tasks)
        self._ends -= ends
        self._carrying -= tasks

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while chunk := await source.read(_CHUNK_BYTES):
                await self._flowing.wait()
                target.write(chunk)
                await target.drain()
        except OSError:
            pass  # the line is cut: the other end learns it below
        finally:
            target.close()


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
