"""Checkouts through a provider, what is given back of them, and payouts."""

from dataclasses import dataclass
from typing import NamedTuple

from payments.identifiers import NIL
from payments.movements.instructions.instruction import Headline, Instruction
from payments.rejections import Reason
from payments.terms.providers import clearing_of


class Order(NamedTuple):
    """One seller's part of a checkout."""

    payment_order_id: str
    """What the provider recognises a repetition by."""
    seller: bytes
    amount_minor: int
    currency: str
    is_on_delivery: bool
    """The seller has it when it is released, else with the settlement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceCheckout(Instruction):
    """Charge a buyer, through a provider, for one or several sellers. Every order succeeds or fails by itself."""

    checkout: bytes
    provider: str
    token: str
    """The provider's token of a card, never its number."""
    buyer: str
    """The caller's reference of who pays; no personal data."""
    orders: tuple[Order, ...]

    @property
    def authority(self) -> bytes:
        return self.checkout


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder(Instruction):
    """Before the provider is asked: don't. After success: refund all that is left of it."""

    checkout: bytes
    payment_order_id: str

    @property
    def authority(self) -> bytes:
        return self.checkout


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOrder(CancelOrder):
    """Give back part or all of an order, through the provider that charged it."""

    amount_minor: int
    currency: str

    @property
    def headline(self) -> Headline:
        return Headline(self.checkout, NIL, self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayOut(Instruction):
    """Send money of an account to a bank account, or whatever the provider's token names."""

    account: bytes
    provider: str
    token: str
    amount_minor: int
    currency: str

    @property
    def authority(self) -> bytes:
        return self.account

    @property
    def headline(self) -> Headline:
        clearing = clearing_of(self.provider, self.currency)
        credited = NIL if isinstance(clearing, Reason) else clearing
        return Headline(self.account, credited, self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleAttempt(Instruction):
    """Say what became of a request of which its provider has said nothing certain, and no attempt is to follow, or the
    one that was to follow is lost. Two people have to say the same.
    """

    LATER = frozenset({"lost_attempt"})

    owner: bytes
    """Who waits for the result: the checkout, or the account that pays out."""
    request_id: bytes
    """The order that was to be charged, the refund, or the payout."""
    is_succeeded: bool
    """False: no money has moved for it, and none will."""
    provider_reference: str
    """The provider's id of what it has made; empty where it has failed, or was told before."""
    operator: bytes
    """Who says so."""
    lost_attempt: int = 0
    """The attempt that was to follow and of which nothing was heard for LOST_AFTER_DAYS; 0 where none was to follow."""

    @property
    def authority(self) -> bytes:
        return self.owner
