"""A world per test, on the session's broker and the file's sandbox."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.settings import Settings
from tests.connectors.loop.world import World
from tests.connectors.sandbox_process import API_KEY, SandboxProcess


@pytest.fixture
def world(broker: str, topic_name: Callable[[str], str], sandbox: SandboxProcess, tmp_path: Path) -> Iterator[World]:
    key = tmp_path / "stripe.key"
    key.write_text(f"{API_KEY}\n")
    settings = Settings(
        kafka_bootstrap=broker,
        stripe_url=sandbox.url,
        stripe_api_key_file=key,
        transaction_timeout_ms=3_000,
        session_timeout_ms=6_000,
    )
    made = World(topic_name("connectors"), settings, sandbox)
    try:
        yield made
    finally:
        made.close()
