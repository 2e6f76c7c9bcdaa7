"""Answers that are too long for memory: written while they are read, on connections that ordinary reads never use.

Guarantees: what is refused is refused before the first byte. A connection is given back when the caller goes away, or
reads nothing for READ_WITHIN_S: then the body ends early.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Send
from starlette.types import Scope as AsgiScope

from ingest_api.http.call import Answer, Call
from ingest_api.http.serving import answered, as_response
from ingest_api.problems import Fault, retry_later
from ingest_api.reads.database import Database
from ingest_api.services import Services
from runtime.postgres import DOWNLOADS
from runtime.settings import Settings

logger = logging.getLogger(__name__)

READING: Final = (
    "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=20000 -c default_transaction_read_only=on"
    " -c jit=off -c timezone=UTC"
)
"""Options of the sessions: a batch of a statement takes milliseconds, the sums of a million entries 26 s. A year of
more than two million may reach the time-out, and its tax report is then refused as if Postgres were away.
"""

READ_WITHIN_S: Final = 20
"""Who takes no byte for so long is cut off, as by Postgres: two of them would keep all others from their statements."""

_writing = asyncio.Semaphore(DOWNLOADS)


class Download(NamedTuple):
    """A body in parts, and how the caller may save it."""

    parts: AsyncGenerator[bytes, None]
    media: str
    file_name: str


async def read_apart(
    settings: Settings, parts_of: Callable[[Database], AsyncGenerator[bytes, None]]
) -> AsyncGenerator[bytes, None]:
    """The parts, read over a connection of their own. Raises Problem where as many are being read as may be."""
    if _writing.locked():
        raise retry_later(Fault.QUEUE_FULL, f"{DOWNLOADS} statements are being written. Ask again soon.", 5)
    async with _writing:
        database = Database(settings.database_url, 1, 1, READING)
        await database.open()
        try:
            async with aclosing(parts_of(database)) as parts:
                async for part in parts:
                    yield part
        finally:
            await database.close()


async def respond_with_download(
    request: Request, operation: Callable[[Services, Call], Awaitable[Download]]
) -> Response:
    """A download as a FastAPI endpoint; whatever goes wrong before its first byte becomes an answer."""
    call = Call.of(request.scope, request.receive)
    begun: list[_Begun] = []

    async def begin(services: Services, call: Call) -> Answer:
        begun.append(await _begin(await operation(services, call), call.request_id))
        return _NO_ANSWER

    answer = await answered(request.app.state.services, begin, call)
    return begun[0] if begun else as_response(answer, call.request_id)


_NO_ANSWER: Final = Answer(200, b"")


class _Begun(StreamingResponse):
    """Ends its source however it ends itself, and itself where nobody reads."""

    def __init__(self, source: AsyncGenerator[bytes, None], first: bytes, **named: Any) -> None:
        self._source = source
        super().__init__(_from(first, source), **named)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(READ_WITHIN_S):
                await send(message)

        async with aclosing(self._source):
            try:
                await super().__call__(scope, receive, send_in_time)
            except* TimeoutError:
                logger.warning("a download was cut off: nobody has read of it for %d s", READ_WITHIN_S)


async def _begin(download: Download, request_id: str) -> _Begun:
    """Waits for the first bytes: a PDF has them when it is complete."""
    first = b""
    while not first:
        first = await anext(download.parts)
    headers = {
        "content-disposition": f'attachment; filename="{download.file_name}"',
        "cache-control": "no-store",
        "x-request-id": request_id,
    }
    return _Begun(download.parts, first, media_type=download.media, headers=headers)


async def _from(first: bytes, source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for part in source:
        yield part
