"""Kafka, Postgres and the Stripe-shaped sandbox, with worker, sink and connectors as processes that a test may kill."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from millrace.environment import LocalEnvironment
from millrace.environment.layout import Home
from millrace.topics import ensure_topics
from runtime import migrate
from tests.connectors.sandbox_process import API_KEY, SandboxProcess, running_sandbox
from tests.pipeline.commerce.shop import KeptShop
from tests.support.environment import end_at_once, throw_away_settings


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox") / "state.sqlite") as sandbox:
        yield sandbox


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxProcess) -> Iterator[LocalEnvironment]:
    """Of its own: the audit reads all of its topics."""
    home: Path = tmp_path_factory.mktemp("stage")
    key_file = home / "stripe.key"
    key_file.write_text(API_KEY)
    settings = throw_away_settings(home / "home").model_copy(
        update={
            "stripe_url": sandbox.url,
            "stripe_api_key_file": key_file,
            "stripe_return_url": "https://shop.example/paid",
        }
    )
    with LocalEnvironment(settings, pipeline=False) as environment:
        ensure_topics(environment.settings)
        migrate.up(environment.database_url, "sinks")
        yield environment
        end_at_once(environment)
    Home(home / "home").wipe()


@pytest.fixture(scope="package")
def open_shop(stage: LocalEnvironment, sandbox: SandboxProcess) -> Iterator[KeptShop]:
    with KeptShop.open(stage, sandbox) as shop:
        yield shop


@pytest.fixture
def shop(open_shop: KeptShop) -> Iterator[KeptShop]:
    """All of it runs, and the provider has no fault left of the test before."""
    open_shop.tend()
    open_shop.worker.exit_codes.clear()
    yield open_shop
    open_shop.sandbox.clear_faults()
