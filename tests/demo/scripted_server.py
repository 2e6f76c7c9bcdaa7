"""An HTTP server that answers what it is told, in order, and keeps what it was sent: for clients, not for the books."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple


class Reply(NamedTuple):
    """One answer. Status 0 cuts the connection instead."""

    status: int
    body: str = "{}"
    headers: tuple[str, ...] = ()


class ScriptedServer:
    """Answers the replies in order, the last one for ever; a GET has its own answer where one is given."""

    def __init__(self, replies: list[Reply], read: Reply | None) -> None:
        self._replies = replies
        self._read = read
        self.seen: list[str] = []
        """The head of each request."""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        reply = self._replies[min(len(self.seen), len(self._replies) - 1)]
        if self._read and head.startswith("GET "):
            reply = self._read
        self.seen.append(head)
        if reply.status:
            fields = [f"Content-Length: {len(reply.body)}", "Connection: close", *reply.headers]
            writer.write("\r\n".join([f"HTTP/1.1 {reply.status} X", *fields, "", reply.body]).encode())
            await writer.drain()
        writer.close()


@asynccontextmanager
async def scripted_server(*replies: Reply, read: Reply | None = None) -> AsyncIterator[tuple[ScriptedServer, str]]:
    """The server and its URL."""
    script = ScriptedServer(list(replies), read)
    server = await asyncio.start_server(script.answer, "127.0.0.1", 0)
    async with server:
        yield script, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
