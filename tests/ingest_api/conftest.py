"""A whole installation for the tests of the HTTP side: broker, Postgres, a worker, the sink and one API process."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psutil
import pytest
from fastapi import FastAPI

from ingest_api.http import openapi
from ingest_api.identity.tokens import ALL_SCOPES, Scope, issue_token
from millrace.environment import LocalEnvironment
from runtime.settings import Settings
from tests.ingest_api.client import ApiClient
from tests.support.environment import running_installation
from tests.support.waiting import eventually

TERMS = """
quote_s = 60
[[rates]]
sell = "EUR"
buy = "USD"
rate = "1.10"
[[fees]]
name = "wire"
version = 1
currency = "EUR"
tiers = [{ basis_points = 0, flat_minor = 500 }]
[[fees]]
name = "payout"
version = 1
currency = "EUR"
bearer = "payee"
tiers = [{ basis_points = 100 }]
"""
Paused = Callable[[str], AbstractContextManager[int]]


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEnvironment]:
    """Of its own, because it decides every command in its topics. One worker: the tests pause it at times."""
    home = tmp_path_factory.mktemp("installation")
    terms = home / "terms.toml"
    terms.write_text(TERMS)
    with running_installation(home, terms_file=terms) as environment:
        yield environment


@pytest.fixture(scope="session", autouse=True)
def documented_once() -> Iterator[None]:
    """Apps in memory have the same routes: the first one's document serves all of them, 0.4 s of computing each."""
    made: list[dict[str, Any]] = []
    document = openapi.document

    def first(app: FastAPI, version: str) -> dict[str, Any]:
        if not made:
            made.append(document(app, version))
        return made[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openapi, "document", first)
        yield


@pytest.fixture(scope="package")
def settings(installation: LocalEnvironment) -> Settings:
    return installation.settings


@pytest.fixture(scope="package")
def api_url(installation: LocalEnvironment) -> str:
    assert installation.addresses.api_url is not None
    return installation.addresses.api_url


@pytest.fixture
def api(settings: Settings, api_url: str) -> Iterator[ApiClient]:
    """A caller with every scope."""
    client = ApiClient(api_url, issue_token(settings, "tester", ALL_SCOPES, 600))
    yield client
    client.http.close()


@pytest.fixture
def caller_with(settings: Settings, api_url: str) -> Iterator[Callable[..., ApiClient]]:
    """Callers with the scopes given."""
    made: list[ApiClient] = []

    def make(*scopes: Scope) -> ApiClient:
        made.append(ApiClient(api_url, issue_token(settings, "limited", scopes, 600)))
        return made[-1]

    yield make
    for client in made:
        client.http.close()


@pytest.fixture
def paused(installation: LocalEnvironment) -> Paused:
    """`with paused("worker-0"):` stops a service for a while (below every session time-out) and lets it go on."""

    @contextmanager
    def pause(name: str) -> Iterator[int]:
        pid = next(service.pid for service in installation.status().services if service.name == name)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)  # a thread may still answer
            yield pid
        finally:
            os.kill(pid, signal.SIGCONT)

    return pause
