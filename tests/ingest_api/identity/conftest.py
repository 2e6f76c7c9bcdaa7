"""Identity on a real Postgres, without Kafka: as an API process has it, and the whole app behind a socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from ingest_api.identity.service import Identity
from ingest_api.identity.tokens import TokenVerifier
from ingest_api.reads.database import Database
from runtime.settings import Settings
from tests.ingest_api.client import NO_TLS
from tests.ingest_api.identity.people import Town
from tests.ingest_api.owners.world import World, running_world


@pytest.fixture
def public_url() -> str:
    """Where callers are told to go; a test may name an address."""
    return ""


@pytest.fixture
def settings(tmp_path: Path, migrated: str, public_url: str) -> Settings:
    return Settings(
        home=tmp_path,
        database_url=migrated,
        shards=1,
        api_public_url=public_url,
        smtp_host="localhost",
        mail_from="notices@bank.example",
    )


@pytest.fixture
async def identity(settings: Settings) -> AsyncIterator[Identity]:
    """As one API process has it."""
    made = Identity.of(settings, TokenVerifier.of(settings), Database.writing(settings))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    async with running_world(settings) as running:
        yield running


@pytest.fixture
async def town(world: World) -> AsyncIterator[Town]:
    """People who log in over HTTP."""
    config = uvicorn.Config(world.app, port=0, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS) as http:
        yield Town(world, http)
    server.should_exit = True
    await serving
