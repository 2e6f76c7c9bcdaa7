"""One public event: what happened to a payment, hold, dispute, journal, order, refund, payout or account.

No personal data: ids, amounts and codes, never a name, a description or a reference of a caller's own.
"""

from enum import StrEnum
from typing import NamedTuple


class EventType(StrEnum):
    """The word in front of the dot is what the subject is. Readers pass over types that they don't know."""

    PAYMENT_IN_REVIEW = "payment.in_review"
    """A rule holds it until people have decided."""
    PAYMENT_AUTHORISED = "payment.authorised"
    """The amount has left the payer's available balance and is on its way."""
    PAYMENT_POSTED = "payment.posted"
    """The journal entry is made; of a check, direct debit or money order the payee may not spend it yet."""
    PAYMENT_REJECTED = "payment.rejected"
    """Refused; nothing moved. Also of a hold, a refund or a payout that never came to be."""
    PAYMENT_RETURNED = "payment.returned"
    """The payee could not take it; the payer has it again."""
    PAYMENT_COLLECTED = "payment.collected"
    """What was posted uncollected may be spent. Of an order on delivery the subject is the order's id as a payment."""
    PAYMENT_REVERSED = "payment.reversed"
    """The bank has returned a deposit."""
    PAYMENT_REFUNDED = "payment.refunded"
    """Part or all of it is back at its payer; the refund is a payment of its own, named as the cause."""
    PAYMENT_DISPUTED = "payment.disputed"
    """Its payer contests part or all of it; the dispute is named as the cause."""
    HOLD_PLACED = "hold.placed"
    """The amount is set aside for its payee."""
    HOLD_RAISED = "hold.raised"
    """By the amount."""
    HOLD_CAPTURED = "hold.captured"
    """The amount is on its way, as the payment that is named as the cause."""
    HOLD_RELEASED = "hold.released"
    """What was left is the payer's again: voided or, with the reason, expired."""
    DISPUTE_OPENED = "dispute.opened"
    """The merchant is debited; whatever it no longer has, it owes."""
    DISPUTE_CREDITED = "dispute.credited"
    """The customer has the amount: provisionally, or because the merchant has lost."""
    DISPUTE_EVIDENCE_NOTED = "dispute.evidence_noted"
    """The merchant has handed in evidence."""
    DISPUTE_WON = "dispute.won"
    """By the merchant."""
    DISPUTE_LOST = "dispute.lost"
    """By the merchant."""
    DISPUTE_COLLECTED = "dispute.collected"
    """A provisional credit was taken back from the customer."""
    JOURNAL_POSTED = "journal.posted"
    """All of its legs at once."""
    JOURNAL_CANCELLED = "journal.cancelled"
    """One of its legs was refused; none was posted."""
    ORDER_PLACED = "order.placed"
    """Its seller is asked whether it can take it."""
    ORDER_EXECUTING = "order.executing"
    """The provider is asked."""
    ORDER_REQUIRES_ACTION = "order.requires_action"
    """Its payer has to act (3-D Secure) at the page that `GET /v1/payments/{payment_order_id}` shows as next_action."""
    ORDER_SUCCEEDED = "order.succeeded"
    """The provider has charged it, and the seller is credited."""
    ORDER_FAILED = "order.failed"
    """With the reason: declined, cancelled, or its seller can't take it."""
    ORDER_REFUNDED = "order.refunded"
    """Part or all of it is back at its buyer; the refund is named as the cause."""
    REFUND_OPENED = "refund.opened"
    """Of an order: the seller has set the amount aside, and the provider will be asked."""
    REFUND_POSTED = "refund.posted"
    """The provider has given it back."""
    REFUND_FAILED = "refund.failed"
    """The seller has the amount again."""
    PAYOUT_OPENED = "payout.opened"
    """The amount is reserved, and the provider will be asked."""
    PAYOUT_POSTED = "payout.posted"
    """The provider has paid it out."""
    PAYOUT_FAILED = "payout.failed"
    """The account has the amount again."""
    ACCOUNT_OPENED = "account.opened"
    """With its overdraft limit as amount."""
    ACCOUNT_ACTIVATED = "account.activated"
    """Open again: neither frozen nor dormant."""
    ACCOUNT_FROZEN = "account.frozen"
    """For debits and credits."""
    ACCOUNT_DEBITS_FROZEN = "account.debits_frozen"
    """Credits arrive, nothing leaves."""
    ACCOUNT_DORMANT = "account.dormant"
    """Not used for long: credits arrive, nothing leaves until it is woken."""
    ACCOUNT_CLOSED = "account.closed"
    """For ever."""
    ACCOUNT_OVERDRAFT_LIMIT_SET = "account.overdraft_limit_set"
    """To the amount."""


class Event(NamedTuple):
    """Ids are texts as the HTTP API shows them (`pay_…`). None = does not apply."""

    type: EventType
    subject: str
    """What it happened to: events of one subject reach a reader in order."""
    occurred_at_us: int
    """Broker time of the input that was decided, microseconds since 1970 (UTC)."""
    payer: str | None = None
    payee: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    reason: str | None = None
    """Code of a refusal: payments.rejections.Reason."""
    cause: str | None = None
    """Id of what it follows from."""
    network_code: str | None = None
    """With which a bank returned a deposit (R01, AC04 …)."""
    payee_amount_minor: int | None = None
    """What reaches the payee, where a fee or another currency makes it differ."""
    payee_currency: str | None = None
