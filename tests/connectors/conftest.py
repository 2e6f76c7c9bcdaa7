"""A sandbox of one's own, the adapter that calls it, and waits that are short."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from connectors import attempt
from connectors.psp.stripe import StripeProvider
from tests.connectors.sandbox_process import API_KEY, SandboxProcess, running_sandbox


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox") / "state.sqlite") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: SandboxProcess) -> Iterator[SandboxProcess]:
    """Shared by the tests of a file: each uses keys and orders of its own."""
    if shared_sandbox.process.poll() is not None:
        shared_sandbox.start()
    yield shared_sandbox
    if shared_sandbox.process.poll() is None:
        shared_sandbox.clear_faults()


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    """For a test that looks at everything there is, or moves the clock."""
    with running_sandbox(tmp_path / "state.sqlite") as sandbox:
        yield sandbox


@pytest_asyncio.fixture
async def provider(sandbox: SandboxProcess) -> AsyncIterator[StripeProvider]:
    made = StripeProvider(SecretStr(API_KEY), sandbox.url)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def own_provider(own_sandbox: SandboxProcess) -> AsyncIterator[StripeProvider]:
    made = StripeProvider(SecretStr(API_KEY), own_sandbox.url)
    yield made
    await made.close()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that hangs costs half a second instead of 30."""
    monkeypatch.setattr(attempt, "CALL_TIMEOUT_S", 0.5)
    monkeypatch.setattr(attempt, "BACKOFF_S", (0.01, 0.02))
