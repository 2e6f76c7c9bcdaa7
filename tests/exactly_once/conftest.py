"""One run per test: topics of its own on the session's broker, and no worker left behind."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from runtime.exactly_once import commit, engine, membership, transaction
from tests.exactly_once.application.processes import Run


@pytest.fixture
def run(broker: str, tmp_path: Path) -> Iterator[Run]:
    """A fresh run; its workers are ended with the test."""
    made = Run(broker, f"sums-{secrets.token_hex(4)}", tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def crashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Reasons given to `crash`, which raises SystemExit here instead of ending the test run."""
    reasons: list[str] = []

    def note(reason: str) -> NoReturn:
        reasons.append(reason)
        raise SystemExit(reason)

    for module in (membership, transaction, commit, engine):
        monkeypatch.setattr(module, "crash", note)
    return reasons
