"""The routes alone, served over real HTTP: they need neither Kafka nor Postgres."""

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from ingest_api.schema_registry import routes


@pytest.fixture(scope="session")
def registry_url() -> Iterator[str]:
    app = FastAPI()
    app.state.services = None  # no route of the registry asks for any
    app.include_router(routes.router)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def http(registry_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=registry_url) as client:
        yield client
