"""One run per test: topics of its own on the session's broker, and no worker left behind."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exactly_once.application.processes import Run


@pytest.fixture
def run(broker: str, tmp_path: Path) -> Iterator[Run]:
    """A fresh run; its workers are ended with the test."""
    made = Run(broker, f"sums-{secrets.token_hex(4)}", tmp_path)
    try:
        yield made
    finally:
        made.close()
