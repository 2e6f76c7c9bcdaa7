"""Payment orders, refunds and payouts as Postgres shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.commerce.shown import (
    NextAction,
    OrderRefund,
    PaymentOrderState,
    PayoutState,
    money,
    movement_status,
    payment_order_state,
    reason_text,
    told,
)
from ingest_api.http.resources import account_text, rfc3339
from ingest_api.reads.database import Database, DatabaseUnavailable
from payments.entries import EntryKind
from payments.identifiers import CHECKOUT, PAYMENT, REFUND, derive_checkout_id, format_id
from payments.items.details import OrderStatus
from payments.lifecycle import FINAL
from payments.movements.instructions import Order
from payments.rejections import Reason
from schemas.codec.fields import REASONS

_ORDERS: Final = f"""
SELECT state.*, placed.description AS checkout_name, action.url AS action_url
FROM payment_order_states AS state
LEFT JOIN payer_actions AS action ON action.request_id = state.order_id AND state.status = {OrderStatus.EXECUTING:d}
LEFT JOIN LATERAL (
    SELECT description FROM account_events
    WHERE account_id = state.checkout_id AND kind = {EntryKind.ORDERS_PLACED:d} ORDER BY decided_at LIMIT 1
) AS placed ON true"""
_NAMED: Final = f"{_ORDERS} WHERE state.payment_order_id = %s ORDER BY state.opened_at, state.order_id LIMIT 1"
_OF_CHECKOUT: Final = f"{_ORDERS} WHERE state.checkout_id = %s ORDER BY state.opened_at, state.payment_order_id"
_TAKEN: Final = """
SELECT 1 AS taken FROM payment_orders WHERE checkout_id <> %(own)s AND (payment_order_id = ANY(%(names)s)
    OR checkout_id = ANY(%(checkouts)s)) LIMIT 1"""
_REFUNDS: Final = "SELECT * FROM order_refunds WHERE order_id = %s ORDER BY opened_at, refund_id"
_REFUND: Final = """
SELECT refund.*, payment_orders.payment_order_id FROM order_refunds AS refund JOIN payment_orders USING (order_id)
WHERE refund_id = %s"""
_PAYOUT: Final = "SELECT * FROM payouts WHERE payout_id = %s"


class PlacedOrder(NamedTuple):
    """A row of payment_order_states."""

    order_id: bytes
    checkout: bytes
    checkout_name: str
    buyer: str
    asked: Order
    status: OrderStatus
    reason: Reason
    decline: str | None
    refunded_minor: int
    ledger_updated: bool
    wallet_updated: bool
    is_done: bool
    is_released: bool
    placed_at: datetime
    changed_at: datetime
    action_url: str | None

    @property
    def waits_for_people(self) -> bool:
        """Nothing more happens by itself: it is done, or its payer has to act."""
        return self.is_done or self.action_url is not None

    @property
    def state(self) -> PaymentOrderState:
        """As callers see it."""
        return payment_order_state(
            self.checkout_name,
            self.asked,
            self.refunded_minor,
            payment_order_status=self.status.name,
            ledger_updated=self.ledger_updated,
            wallet_updated=self.wallet_updated,
            is_payment_done=self.is_done,
            released=self.is_released,
            reason=reason_text(self.reason),
            decline=told(self.decline),
            placed_at=rfc3339(self.placed_at),
            changed_at=rfc3339(self.changed_at),
            next_action=NextAction("redirect_to_url", self.action_url) if self.action_url else None,
        )


async def find_order(database: Database, payment_order_id: str) -> PlacedOrder | None:
    """The payment order of this name: should several checkouts have used it, the first one. Raises
    DatabaseUnavailable.
    """
    if "\0" in payment_order_id:  # which Postgres takes in no text
        return None
    row = await database.row(_NAMED, (payment_order_id,))
    return _order(row) if row is not None else None


async def find_checkout(database: Database, checkout: bytes) -> list[PlacedOrder]:
    """Every payment order of a checkout. Raises DatabaseUnavailable."""
    return [_order(row) for row in await database.rows(_OF_CHECKOUT, (UUID(bytes=checkout),))]


async def are_taken(database: Database, name: str, orders: Sequence[Order]) -> bool:
    """Whether another checkout is called as one of these orders, or one of its orders as these or as this checkout.

    As far as Postgres shows them; False where it does not answer. Both are looked for by one name.
    """
    names = [order.payment_order_id for order in orders]
    checkouts = [UUID(bytes=derive_checkout_id(one)) for one in names]
    own = UUID(bytes=derive_checkout_id(name))
    try:
        row = await database.row(_TAKEN, {"own": own, "names": [name, *names], "checkouts": checkouts})
    except DatabaseUnavailable:
        return False
    return row is not None


async def find_refunds(database: Database, order: PlacedOrder) -> list[OrderRefund]:
    """Every refund of a payment order, those that came to nothing too. Raises DatabaseUnavailable."""
    rows = await database.rows(_REFUNDS, (UUID(bytes=order.order_id),))
    return [_refund(row, order.asked.payment_order_id) for row in rows]


async def find_refund(database: Database, refund_id: bytes) -> OrderRefund | None:
    """One refund. Raises DatabaseUnavailable."""
    row = await database.row(_REFUND, (UUID(bytes=refund_id),))
    return _refund(row, row["payment_order_id"]) if row is not None else None


async def find_payout(database: Database, payout_id: bytes) -> tuple[bytes, PayoutState] | None:
    """A payout and the account that it is of. Raises DatabaseUnavailable."""
    row = await database.row(_PAYOUT, (UUID(bytes=payout_id),))
    return (row["account_id"].bytes, _payout(row)) if row is not None else None


def are_those(found: Sequence[PlacedOrder], asked: Sequence[Order]) -> bool:
    """Whether a checkout has just the payment orders that are asked for."""
    return {order.asked for order in found} == set(asked)


def _order(row: Mapping[str, Any]) -> PlacedOrder:
    checkout: bytes = row["checkout_id"].bytes
    seller, amount_minor, currency = row["seller"].bytes, row["amount_minor"], row["currency"]
    return PlacedOrder(
        row["order_id"].bytes,
        checkout,
        row["checkout_name"] or format_id(CHECKOUT, checkout),
        row["buyer"],
        Order(row["payment_order_id"], seller, amount_minor, currency, row["is_on_delivery"]),
        OrderStatus(row["status"]),
        REASONS[row["reason"]],
        row["decline"],
        row["refunded_minor"],
        row["ledger_updated"],
        row["wallet_updated"],
        row["is_done"],
        row["is_released"],
        row["opened_at"],
        row["changed_at"],
        row["action_url"],
    )


def _refund(row: Mapping[str, Any], payment_order_id: str) -> OrderRefund:
    refund_id: bytes = row["refund_id"].bytes
    return OrderRefund(
        id=format_id(REFUND, refund_id),
        payment_order_id=payment_order_id,
        **_movement(row),
    )


def _payout(row: Mapping[str, Any]) -> PayoutState:
    payout_id: bytes = row["payout_id"].bytes
    return PayoutState(
        id=format_id(PAYMENT, payout_id),
        account=account_text(row["account_id"].bytes),
        provider=row["provider"],
        **_movement(row),
    )


def _movement(row: Mapping[str, Any]) -> dict[str, Any]:
    """What refunds and payouts have in common."""
    refusal = REASONS[row["refusal"]]
    status = movement_status(row["is_open"], row["outcome"], refusal)
    return {
        "status": status,
        "final": status in FINAL,
        "reason": reason_text(refusal),
        "decline": told(row["decline"]),
        "asked_at": rfc3339(row["opened_at"]),
        "changed_at": rfc3339(row["changed_at"]),
        **money(row["amount_minor"], row["currency"]),
    }
