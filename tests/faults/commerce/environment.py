"""A local environment with the Stripe-shaped provider beside it, as a process that can be killed."""

from types import TracebackType

from millrace.environment import LocalEnvironment
from runtime.settings import Settings
from tests.connectors.sandbox_process import API_KEY, SandboxProcess


class WithProvider(LocalEnvironment):
    """Its services have the provider's address and key."""

    def __init__(self, settings: Settings, *, brokers: int, pipeline: bool) -> None:
        folder = settings.home.parent
        self.provider = SandboxProcess(folder / "provider.sqlite")
        key_file = folder / "provider.key"
        key_file.write_text(API_KEY)
        told = {"stripe_url": self.provider.url, "stripe_api_key_file": key_file}
        super().__init__(settings.model_copy(update=told), brokers=brokers, pipeline=pipeline)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self.provider.end()
