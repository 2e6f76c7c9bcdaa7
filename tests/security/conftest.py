"""One secured installation for the session: TLS, SCRAM and rights, with the whole pipeline on it."""

import os
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient

from millrace.environment import LocalEnvironment, ports
from millrace.environment.layout import Home
from runtime.kafka_client import Brokers
from schemas.access import ADMINISTRATOR
from tests.connectors.sandbox_process import API_KEY, SandboxProcess, running_sandbox
from tests.support.environment import throw_away_settings

As = Callable[[str], Brokers]


@pytest.fixture(scope="package")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """The payment provider that the installation calls."""
    with running_sandbox(tmp_path_factory.mktemp("provider") / "state.sqlite") as sandbox:
        yield sandbox


@pytest.fixture(scope="package")
def secured(tmp_path_factory: pytest.TempPathFactory, provider: SandboxProcess) -> Iterator[LocalEnvironment]:
    """Brokers of its own, whatever KAFKA_BOOTSTRAP says: those of others have rules of others."""
    home = tmp_path_factory.mktemp("secured")
    key_file = tmp_path_factory.mktemp("key") / "stripe"
    key_file.write_text(API_KEY)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("MILLRACE_KAFKA_")] + ["KAFKA_BOOTSTRAP"]:
            patch.delenv(name, raising=False)
        settings = throw_away_settings(home)
        own = settings.model_copy(
            update={
                "api_port": ports.free_base([]),
                "workers": 1,
                "secure": True,
                "stripe_url": provider.url,
                "stripe_api_key_file": key_file,
            }
        )
        try:
            with LocalEnvironment(own) as environment:
                yield environment
        finally:
            Home(home).wipe()


@pytest.fixture(scope="package")
def brokers_as(secured: LocalEnvironment) -> As:
    """The brokers, with the login of a principal."""
    return lambda user: Brokers.of(secured.settings_of(user))


@pytest.fixture(scope="package")
def administrator(brokers_as: As) -> AdminClient:
    return AdminClient(brokers_as(ADMINISTRATOR).configuration())
