"""Items of money that moves outside: payment orders, what providers are asked, and what people find out for them."""

from enum import IntEnum
from typing import NamedTuple

from payments.commerce.connector import ConnectorOperation, Decline, Outcome
from payments.rejections import Reason


class OrderStatus(IntEnum):
    """How far a payment order is. The value is the wire value: append only."""

    NOT_STARTED = 0
    """Placed; the seller's shard is asked."""
    EXECUTING = 1
    """The provider is asked."""
    SUCCESS = 2
    FAILED = 3


class PaymentOrder(NamedTuple):
    """One seller's part of a checkout: what refuses a second charge, and one refund more, for longer than it can be
    refunded.
    """

    item_id: bytes
    owner: bytes
    """The checkout."""
    payment_order_id: str
    """The caller's, and the provider's idempotency key."""
    provider: str
    buyer: str
    """The caller's reference of who pays."""
    seller: bytes
    amount_minor: int
    currency: str
    is_on_delivery: bool
    """The seller has it when it is released (ClearDeposit), else with the settlement."""
    status: OrderStatus
    reason: Reason = Reason.NONE
    """Why it FAILED."""
    provider_reference: str = ""
    """The provider's id of the charge."""
    refunded_minor: int = 0
    """With what is under way."""
    is_open: bool = True
    ends_at_us: int = 0
    """When it is looked at whether it may be forgotten (payments.items.endings)."""


class ProviderRequest(NamedTuple):
    """What a provider is to do before a journal is posted; it has the journal's id, owner and life."""

    item_id: bytes
    owner: bytes
    provider: str
    operation: ConnectorOperation
    order_id: bytes
    """The payment order that is charged or refunded; NIL of a payout."""
    payment_order_id: str
    """What the provider is told that it is for; of a payout its idempotency key."""
    amount_minor: int
    currency: str
    idempotency_key: str
    token: str = ""
    refers_to: str = ""
    """The provider's id of the charge that is refunded."""
    attempt: int = 0
    """The newest whose result is known; 0 while there is none."""
    outcome: Outcome = Outcome.PENDING
    """Of that attempt."""
    attempt_follows: bool = True
    """False with an outcome that is not final: people have to find out."""
    decline: Decline = Decline.NONE
    provider_reference: str = ""
    """The provider's id of what it has made."""
    is_open: bool = True
    fee_minor: int = 0
    """What the provider keeps for it, in minor units of the fee's currency; below 0 it gives back."""
    fee_currency: str = ""
    """Empty where no fee is told."""


class AttemptSettlement(NamedTuple):
    """What people have found out of a request of which its provider has said nothing certain: proposed by one, settled
    by two.
    """

    item_id: bytes
    """The request."""
    owner: bytes
    """The request's."""
    is_succeeded: bool
    provider_reference: str
    """The provider's id of what it has made."""
    settled_by: tuple[bytes, ...]
    contradiction: str = ""
    """What the provider has said since, where it is something else."""
    ends_at_us: int = 0
    """Until when it is remembered; 0 while it is proposed."""
    is_open: bool = True

    @property
    def is_settled(self) -> bool:
        """By as many people as it takes."""
        return len(self.settled_by) >= SETTLED_BY


SETTLED_BY = 2
"""Four eyes."""
