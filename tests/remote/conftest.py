"""Commands as they are run, against an API of the test behind the client's own HTTP library."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from millrace import cli

Server = Callable[[httpx.Request], httpx.Response]
Run = Callable[..., Result]


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a default profile, which only its owner can read."""
    file = tmp_path / "profiles.toml"
    file.write_text('[default]\nurl = "http://api"\napi_key = "mk_1"\n')
    file.chmod(0o600)
    monkeypatch.setenv("MILLRACE_PROFILES", str(file))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("MILLRACE_PROFILE", raising=False)
    return file


@pytest.fixture
def run(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run(server, "transfer", …)`."""
    plain = httpx.Client

    def run_command(server: Server, *arguments: str) -> Result:
        monkeypatch.setattr(httpx, "Client", functools.partial(plain, transport=httpx.MockTransport(server)))
        monkeypatch.setattr("time.sleep", lambda _: None)
        return CliRunner().invoke(cli.app, list(arguments))

    return run_command


def lines_of(request: httpx.Request) -> list[dict[str, Any]]:
    return [json.loads(line) for line in request.content.splitlines()]
