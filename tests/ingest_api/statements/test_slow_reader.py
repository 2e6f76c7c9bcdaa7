"""Goal: who asks for a statement and does not read it, or goes away, keeps nobody else from theirs."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from ingest_api.http.call import Call
from ingest_api.services import Services
from ingest_api.statements import download
from ingest_api.statements.download import Download, respond_with_download

ended: list[bool] = []


async def endless() -> AsyncGenerator[bytes, None]:
    try:
        while True:
            yield b"entry\n"
    finally:
        ended.append(True)


async def statement(_services: Services, _call: Call) -> Download:
    return Download(endless(), "text/csv", "statement.csv")


async def never_reads(_message: Any) -> None:
    await asyncio.Event().wait()


async def stays() -> Any:
    return await asyncio.Event().wait()


async def reads(_message: Any) -> None:
    await asyncio.sleep(0)


async def goes_away() -> Any:
    return {"type": "http.disconnect"}


@pytest.mark.parametrize(("receive", "send"), [(stays, never_reads), (goes_away, reads)], ids=["stays", "goes away"])
async def test_a_download_that_nobody_reads_ends(monkeypatch: pytest.MonkeyPatch, receive: Any, send: Any) -> None:
    async def get(request: Request) -> Any:
        return await respond_with_download(request, statement)

    monkeypatch.setattr(download, "READ_WITHIN_S", 0.01)
    app = Starlette(routes=[Route("/", get)])
    app.state.services = None
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "asgi": {}}
    ended.clear()
    async with asyncio.timeout(20):
        await app(scope, receive, send)
    assert ended == [True]
