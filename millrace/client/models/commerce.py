"""Checkouts, orders, payouts and outside banks."""

from typing import Any

from millrace.client.models.model import Model


class OrderRefund(Model, kw_only=True):
    """A refund of a payment order. `reason` says why it came to nothing, `decline` what the provider said."""

    id: str
    payment_order_id: str
    status: str
    final: bool
    amount: str
    amount_minor: int
    currency: str
    reason: str | None = None
    decline: str | None = None
    asked_at: str | None = None
    changed_at: str | None = None


class NextAction(Model, kw_only=True):
    """What the payer has to do: open `url` in the browser (3-D Secure). From there it comes back to the shop's page."""

    type: str
    url: str


class PaymentOrderState(Model, kw_only=True):
    """A payment order. `ledger_updated`: the journal entry is posted; `wallet_updated`: the seller has the money;
    `released`: and may spend it. `next_action`: while the provider waits for the payer.
    """

    payment_order_id: str
    checkout_id: str
    payment_order_status: str
    ledger_updated: bool
    wallet_updated: bool
    is_payment_done: bool
    seller_account: str
    amount: str
    amount_minor: int
    currency: str
    release: str
    released: bool
    refunded: str
    refunded_minor: int
    reason: str | None = None
    decline: str | None = None
    placed_at: str | None = None
    changed_at: str | None = None
    next_action: NextAction | None = None
    refunds: list[OrderRefund] | None = None


class CheckoutState(Model, kw_only=True):
    """A checkout: `is_payment_done` once every payment order is."""

    id: str
    checkout_id: str
    is_payment_done: bool
    payment_orders: list[PaymentOrderState]
    buyer_info: dict[str, Any] | None = None
    placed_at: str | None = None


class OrderLine(Model, kw_only=True):
    """Something that a seller sells."""

    seller_account: str
    amount: str
    amount_minor: int
    currency: str
    description: str


class OrderState(Model, kw_only=True):
    """An order: `created`, `cancelled` before anybody paid, or `checked_out`. Then `checkout` tells of the payment."""

    id: str
    status: str
    lines: list[OrderLine]
    ordered_at: str
    checked_out_at: str | None = None
    cancelled_at: str | None = None
    checkout: CheckoutState | None = None


class PayoutState(Model, kw_only=True):
    """A payout. `reason` says why it came to nothing: the account has the money then."""

    id: str
    account: str
    status: str
    final: bool
    amount: str
    amount_minor: int
    currency: str
    provider: str
    reason: str | None = None
    decline: str | None = None
    asked_at: str | None = None
    changed_at: str | None = None


class ExternalBank(Model, kw_only=True):
    """A registered bank. `api_url` is shown to operators."""

    id: str
    bank_name: str
    registered_at: str
    api_url: str | None = None


class BankTransfer(Model, kw_only=True):
    """A transfer over a bank. `reason` says why it came to nothing: nothing has moved then."""

    id: str
    bank_id: str
    from_account: str
    to_account: str
    status: str
    final: bool
    amount: str
    amount_minor: int
    currency: str
    reason: str | None = None
    decline: str | None = None
    asked_at: str | None = None
