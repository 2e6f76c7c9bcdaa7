"""A process with a database of its own, and the commands beside it."""

import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingest_api.identity.tokens import Scope
from millrace.cli import app
from runtime.settings import Settings
from tests.ingest_api.owners.world import Caller, World, running_world
from tests.screening.lists.samples import SDN_XML

Command = Callable[..., Any]


@pytest.fixture
def settings(tmp_path: Path, migrated: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", migrated)
    return Settings(home=tmp_path, database_url=migrated, shards=1)


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    async with running_world(settings) as running:
        yield running


@pytest.fixture
def command(settings: Settings) -> Command:
    """`millrace screening …`, in a thread of its own, since it has an event loop of its own; its JSON."""

    def run(*arguments: str) -> Any:
        with ThreadPoolExecutor(1) as beside:
            result = beside.submit(CliRunner().invoke, app, ["screening", *arguments, "--json"]).result()
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


@pytest.fixture
def load(command: Command, tmp_path: Path) -> Command:
    """Load OFAC's list as the sample has it, with parts of its text replaced."""

    def run(replaced: str = "", by: str = "") -> Any:
        file = tmp_path / "sdn.xml"
        file.write_text(SDN_XML.replace(replaced, by) if replaced else SDN_XML)
        return command("load", str(file), "--list", "ofac")

    return run


@pytest.fixture
def ana(world: World) -> Caller:
    return world.caller("ana", Scope.CASES_READ, Scope.CASES_DECIDE)


@pytest.fixture
def ben(world: World) -> Caller:
    return world.caller("ben", Scope.CASES_READ, Scope.CASES_DECIDE)
