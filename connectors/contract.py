"""What a provider is to the loop: one method per operation, and answers that never call the unknown a failure.

A new provider (another PSP, a bank) is one class with these methods and a line in connectors.service.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from schemas.codec.connectors import ConnectorOperation, ConnectorRequest, Decline, Outcome


class Answer(NamedTuple):
    """What one call to a provider came to."""

    outcome: Outcome
    provider_reference: str = ""
    decline: Decline = Decline.NONE
    """FAILED: why. UNKNOWN: why it will have failed, should nothing of it be found in the end."""

    provider_code: str = ""
    fee_minor: int | None = None
    """What the provider keeps; below 0 it gives back."""

    fee_currency: str = ""
    action_url: str = ""
    """REQUIRES_ACTION: where the payer acts; empty where the provider names no page."""

    may_repeat: bool = False
    """UNKNOWN: sent again with the same key, it may be answered otherwise."""

    is_without_trace: bool = False
    """UNKNOWN: the provider was asked, and has no trace of the operation so far."""

    moved_minor: int | None = None
    """What the provider says that it has moved, where it says so; reconciliation compares it."""

    moved_currency: str = ""


def failed(decline: Decline, provider_code: str = "", provider_reference: str = "") -> Answer:
    """Certain: no money moved for this request."""
    return Answer(Outcome.FAILED, provider_reference, decline, provider_code)


def unanswered(why: str, decline: Decline = Decline.NONE) -> Answer:
    """Nobody knows whether it was done, by this sending or an earlier one; the same key may tell."""
    return Answer(Outcome.UNKNOWN, decline=decline, provider_code=why, may_repeat=True)


def without_trace() -> Answer:
    """The provider was asked and found nothing, which is not to say that nothing is on its way."""
    return Answer(Outcome.UNKNOWN, provider_code="no_trace", is_without_trace=True)


class ProviderRefusesUs(Exception):
    """The provider does not take our credentials. `str()` says what to change; every further call would be in vain."""


class Provider(Protocol):
    """One provider. Every method sends `request.idempotency_key` and keeps the request id with what it makes.

    Network trouble, declines and refusals are answers. Raises ProviderRefusesUs alone.
    """

    @property
    def name(self) -> str: ...

    @property
    def key_lifetime_us(self) -> int:
        """For so long after the first sending a repetition is surely recognised by its key."""
        ...

    @property
    def lookup_lag_us(self) -> int:
        """What was done so long ago is found by `inquire`."""
        ...

    async def authorise(self, request: ConnectorRequest) -> Answer: ...

    async def charge(self, request: ConnectorRequest) -> Answer: ...

    async def capture(self, request: ConnectorRequest) -> Answer: ...

    async def void(self, request: ConnectorRequest) -> Answer: ...

    async def refund(self, request: ConnectorRequest) -> Answer: ...

    async def payout(self, request: ConnectorRequest) -> Answer: ...

    async def inquire(self, request: ConnectorRequest) -> Answer:
        """What became of this request of whatever operation. Moves nothing."""
        ...

    async def close(self) -> None: ...


def method_of(provider: Provider, operation: ConnectorOperation) -> Callable[[ConnectorRequest], Awaitable[Answer]]:
    """What does this operation."""
    methods: dict[ConnectorOperation, Callable[[ConnectorRequest], Awaitable[Answer]]] = {
        ConnectorOperation.AUTHORISE: provider.authorise,
        ConnectorOperation.CHARGE: provider.charge,
        ConnectorOperation.CAPTURE: provider.capture,
        ConnectorOperation.VOID: provider.void,
        ConnectorOperation.REFUND: provider.refund,
        ConnectorOperation.PAYOUT: provider.payout,
        ConnectorOperation.INQUIRE: provider.inquire,
    }
    return methods[operation]
