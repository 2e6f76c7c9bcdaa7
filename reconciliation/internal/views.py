"""What each side says of one movement of money outside (a charge, a refund, a payout), and of one wallet. Values alone.

None = that side has nothing of it. Amounts are minor units; times carry their zone.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from payments.commerce.connector import ConnectorOperation, Outcome
from payments.items.details import OrderStatus

Leg = tuple[UUID, int, str]
"""Account, amount (credits positive) and currency."""


class Phase(StrEnum):
    """How far a side says that a movement is."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"


class OrderView(NamedTuple):
    """The payment service: a payment order. `refunds_minor`: what its refunds come to that were not refused."""

    payment_order_id: str
    status: OrderStatus
    amount_minor: int
    currency: str
    refunded_minor: int
    refunds_minor: int
    changed_at: datetime

    @property
    def phase(self) -> Phase:
        if self.status is OrderStatus.SUCCESS:
            return Phase.DONE
        return Phase.FAILED if self.status is OrderStatus.FAILED else Phase.OPEN


class Place(NamedTuple):
    """An entry of the ledger."""

    shard: int
    offset: int
    entry_index: int


class AttemptView(NamedTuple):
    """The connectors' attempts, as their newest result tells. `attempt` is 0 and `outcome` None while there is none.

    `asked_at` and `asked_in`: when and by which entry the provider was asked first; None where it never was.
    """

    provider: str
    operation: ConnectorOperation
    has_order: bool
    """The order that it names is there. A payout names none."""
    amount_minor: int
    currency: str
    attempt: int
    outcome: Outcome | None
    attempt_follows: bool
    reference: str
    is_open: bool
    asked_at: datetime | None
    asked_in: Place | None
    changed_at: datetime

    @property
    def phase(self) -> Phase:
        if self.is_open:
            return Phase.OPEN
        return Phase.DONE if self.outcome is Outcome.SUCCEEDED else Phase.FAILED


class JournalView(NamedTuple):
    """The journal that waits for the provider, at the shard that coordinates it; its legs as they were asked for."""

    legs: tuple[Leg, ...]
    is_open: bool
    is_refused: bool
    changed_at: datetime

    @property
    def phase(self) -> Phase:
        if self.is_open:
            return Phase.OPEN
        return Phase.FAILED if self.is_refused else Phase.DONE


class LedgerView(NamedTuple):
    """The journal entry. `amount_minor` is what its credits come to, in the currency of its first leg."""

    amount_minor: int
    currency: str
    currencies: int
    posted_at: datetime
    place: Place


class WalletView(NamedTuple):
    """The leg at the customer's account: while it is open, the balance does not show the entry."""

    account: UUID
    is_open: bool
    changed_at: datetime


class ProviderView(NamedTuple):
    """What the provider said when it was asked. Without a trace it knows nothing of the movement, so far."""

    outcome: Outcome
    has_trace: bool
    reference: str
    code: str
    moved_minor: int | None
    moved_currency: str
    asked_at: datetime


class Movement(NamedTuple):
    """All sides of one movement; the journal, the request and (of a charge) the order have one id."""

    id: UUID
    opened_at: datetime
    order: OrderView | None
    attempt: AttemptView | None
    journal: JournalView | None
    ledger: LedgerView | None
    wallet: WalletView | None
    provider: ProviderView | None

    @property
    def changed_at(self) -> datetime:
        """When a side of ours last changed."""
        found = [side.changed_at for side in (self.order, self.attempt, self.journal, self.wallet) if side is not None]
        return max([*found, self.opened_at, *([self.ledger.posted_at] if self.ledger else [])])


class InFlight(NamedTuple):
    """A payment between accounts that has left its payer: neither posted nor returned so far."""

    id: UUID
    amount_minor: int
    currency: str
    decided_at: datetime
    shard: int
    offset: int


class Wallet(NamedTuple):
    """An account's balance as it is shown, and what the entries of the ledger come to."""

    account: UUID
    currency: str
    posted_minor: int
    available_minor: int
    entries_posted_minor: int
    entries_available_minor: int
    changed_at: datetime
