"""What callers see of commerce: one Struct per resource, with the words of the e-commerce contract.

`payment_order_status` is NOT_STARTED, EXECUTING, SUCCESS or FAILED; refunds and payouts stand where payments stand.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from ingest_api.commerce.bodies import BODIES, Line
from ingest_api.commerce.orders import Order as MadeOrder
from ingest_api.http.resources import account_text, rfc3339
from payments.commerce.connector import Decline, Outcome
from payments.identifiers import CHECKOUT, ORDER, format_id
from payments.items.details import OrderStatus
from payments.lifecycle import PaymentStatus
from payments.money import format_minor
from payments.movements.instructions import Order
from payments.rejections import Reason

_UNTOLD = {Decline.CARD_LOST_OR_STOLEN: Decline.CARD_DECLINED}
"""What the payer, who may be the thief, must not learn from a seller."""


class OrderRefund(msgspec.Struct, omit_defaults=True):
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


class NextAction(msgspec.Struct):
    """What the payer has to do: open `url` in the browser (3-D Secure). From there it comes back to the shop's page."""

    type: str
    url: str


class PaymentOrderState(msgspec.Struct, omit_defaults=True):
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


class CheckoutState(msgspec.Struct, omit_defaults=True):
    """A checkout: `is_payment_done` once every payment order is."""

    id: str
    checkout_id: str
    is_payment_done: bool
    payment_orders: list[PaymentOrderState]
    buyer_info: dict[str, str] = {}
    placed_at: str | None = None


class OrderLine(msgspec.Struct):
    """Something that a seller sells."""

    seller_account: str
    amount: str
    amount_minor: int
    currency: str
    description: str


class OrderState(msgspec.Struct, omit_defaults=True):
    """An order: `created`, `cancelled` before anybody paid, or `checked_out`. Then `checkout` tells of the payment."""

    id: str
    status: str
    lines: list[OrderLine]
    ordered_at: str
    checked_out_at: str | None = None
    cancelled_at: str | None = None
    checkout: CheckoutState | None = None


class PayoutState(msgspec.Struct, omit_defaults=True):
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


RESOURCES: tuple[type, ...] = (*BODIES, PaymentOrderState, CheckoutState, OrderState, OrderRefund, PayoutState)


def movement_status(is_open: bool, outcome: str, refusal: Reason) -> PaymentStatus:
    """Where a refund or a payout stands: returned where the provider did not do it, rejected where it was not asked."""
    if is_open:
        return PaymentStatus.AUTHORISED
    if outcome == Outcome.SUCCEEDED:
        return PaymentStatus.POSTED
    return PaymentStatus.RETURNED if refusal is Reason.PROVIDER_DECLINED else PaymentStatus.REJECTED


def told(decline: str | None) -> str | None:
    """Why the provider declined, as far as sellers may know."""
    found = Decline(decline or Decline.NONE)
    return None if found is Decline.NONE else str(_UNTOLD.get(found, found))


def reason_text(reason: Reason) -> str | None:
    return None if reason is Reason.NONE else str(reason)


def money(amount_minor: int, currency: str) -> dict[str, Any]:
    """The three fields that state an amount."""
    return {
        "amount": format_minor(amount_minor, currency),
        "amount_minor": amount_minor,
        "currency": currency,
    }


_NOT_STARTED: Final[dict[str, Any]] = {
    "payment_order_status": OrderStatus.NOT_STARTED.name,
    **dict.fromkeys(("ledger_updated", "wallet_updated", "is_payment_done", "released"), False),
}


def payment_order_state(checkout_id: str, asked: Order, refunded_minor: int = 0, **known: Any) -> PaymentOrderState:
    """A payment order with what is known of it; before anything is, it has not started."""
    return PaymentOrderState(
        payment_order_id=asked.payment_order_id,
        checkout_id=checkout_id,
        seller_account=account_text(asked.seller),
        release="on_delivery" if asked.is_on_delivery else "at_once",
        refunded=format_minor(refunded_minor, asked.currency),
        refunded_minor=refunded_minor,
        **money(asked.amount_minor, asked.currency),
        **(_NOT_STARTED | known),
    )


def checkout_state(checkout: bytes, name: str, buyer: str, orders: Sequence[PaymentOrderState]) -> CheckoutState:
    """A checkout of these orders."""
    done = all(order.is_payment_done for order in orders)
    info = {"reference": buyer} if buyer else {}
    placed_at = min((order.placed_at for order in orders if order.placed_at), default=None)
    return CheckoutState(format_id(CHECKOUT, checkout), name, done, list(orders), info, placed_at)


def order_state(order: MadeOrder, checkout: CheckoutState | None = None) -> OrderState:
    """An order, and its checkout where there is one."""
    status = "cancelled" if order.cancelled_at else "checked_out" if order.checked_out_at else "created"
    return OrderState(
        format_id(ORDER, order.order_id),
        status,
        list(_lines(order.lines)),
        rfc3339(order.ordered_at),
        rfc3339(order.checked_out_at) if order.checked_out_at else None,
        rfc3339(order.cancelled_at) if order.cancelled_at else None,
        checkout,
    )


def _lines(lines: Iterable[Line]) -> Iterable[OrderLine]:
    return (
        OrderLine(
            seller_account=account_text(line.seller),
            description=line.description,
            **money(line.amount_minor, line.currency),
        )
        for line in lines
    )
