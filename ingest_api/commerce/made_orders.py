"""Orders beside their payment: made, looked at, cancelled; and deliveries, which release a seller's money."""

import os
import time
from collections.abc import Callable, Sequence

import msgspec

from ingest_api.account_changes.changing import key_of
from ingest_api.aliases.pins import request_digest
from ingest_api.commerce.bodies import BODY_BYTES_MAX, DeliveryBody, OrderBody, decoded, order_lines, orders_of
from ingest_api.commerce.checkouts import orders_named, own_order, require_of_sellers, state_of, unknown_order
from ingest_api.commerce.reads import PlacedOrder, find_checkout
from ingest_api.commerce.shown import OrderState, order_state
from ingest_api.http.bodies import decode_fault
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import idempotency_key, required_key
from ingest_api.http.resources import encode
from ingest_api.http.serving import JSON_MEDIA, admit, take_tokens
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import REPLAYED, answer, ask, refusal_of, require_taken, reused
from ingest_api.owners.rights import Action
from ingest_api.problems import Fault, FieldError, field_problem, refused
from ingest_api.reads.consistency import HEADER, await_visible
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.transfers import encoded_headers
from payments.identifiers import ORDER, derive_checkout_id, parse_id, uuid7
from payments.items.details import OrderStatus
from payments.movements.instructions import CancelOrder, ClearDeposit, Envelope
from payments.rejections import Reason

_NOTHING_LEFT = frozenset({Reason.ORDER_FAILED, Reason.REFUND_EXCEEDS_PAYMENT})
"""Why a cancellation that comes late has nothing to do."""


class _Named(msgspec.Struct):
    id: str


async def make_order(services: Services, call: Call) -> Answer:
    """Make an order. With a key its id follows from the caller and the key, so a repeat makes it once."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: OrderBody = decoded(OrderBody, await call.body(BODY_BYTES_MAX))
    lines = order_lines(body.lines)
    if isinstance(lines, FieldError):
        raise field_problem(lines)
    key = idempotency_key(call.header(b"idempotency-key"))
    fresh = uuid7(time.time_ns() // 1_000_000, os.urandom(10))
    order_id = request_digest(b"order", principal.subject, key)[:16] if key else fresh
    order, is_new = await services.orders.make(order_id, lines, principal.subject)
    if order.lines != tuple(lines):
        raise reused()
    state = order_state(order)
    return answer(state, f"/v1/order/{state.id}", {}, done=True, replayed=not is_new)


async def find_made_order(services: Services, principal: Principal, order_id: str) -> OrderState:
    """An order, and its checkout where there is one. Raises Problem."""
    order = await own_order(services, principal, order_id)
    placed = await find_checkout(services.database, derive_checkout_id(order_id)) if order.checked_out_at else []
    return order_state(order, state_of(placed) if placed else None)


async def cancel_order(services: Services, call: Call, named: str | None) -> Answer:
    """Before it is paid: nobody can pay it any more. While it is: before the provider is asked for certain, and after
    it has paid by a refund.
    """
    principal = services.tokens.principal(call.header(b"authorization"), Scope.PAYMENTS_WRITE)
    take_tokens(services, principal, 1)
    name = named or _name_in(await call.body(BODY_BYTES_MAX))
    await await_visible(services.database, call.header(HEADER.lower().encode()))
    if parse_id(ORDER, name) is None:
        orders = await orders_named(services, name)
        await require_of_sellers(services, principal, orders, Action.MOVE_MONEY)
        return await _cancelled(services, call, orders[0].checkout, [o.asked.payment_order_id for o in orders])
    made = await own_order(services, principal, name)
    order = await services.orders.cancel(made.order_id)
    if order is None or order.cancelled_at is not None:
        return Answer(200, encode(order_state(order or made)))
    ids = [one.payment_order_id for one in orders_of(name, order.lines, is_on_delivery=True)]
    return await _cancelled(services, call, derive_checkout_id(name), ids)


def _name_in(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Named).id
    except (ValueError, RecursionError) as error:
        if not body:
            raise field_problem(FieldError("?id", Fault.FIELD_MISSING, "Send ?id=, or a body with id.")) from None
        raise field_problem(decode_fault(error)) from None


async def _cancelled(services: Services, call: Call, checkout: bytes, payment_order_ids: Sequence[str]) -> Answer:
    key = idempotency_key(call.header(b"idempotency-key")) or os.urandom(16).hex()
    outcomes, headers = await ask(
        services,
        call,
        [
            CancelOrder(envelope=Envelope(key_of("cancel", f"{id_}\0{key}")), checkout=checkout, payment_order_id=id_)
            for id_ in payment_order_ids
        ],
    )
    for outcome in outcomes:
        if await refusal_of(services, outcome) not in _NOTHING_LEFT:
            await require_taken(services, outcome, headers)
    return await _looked_at(services, outcomes[0].deadline, checkout, payment_order_ids, headers, _is_cancelled)


def _is_cancelled(order: PlacedOrder) -> bool:
    return order.status is OrderStatus.FAILED or order.refunded_minor == order.asked.amount_minor


async def deliver(services: Services, call: Call, name: str) -> Answer:
    """The sellers have delivered: what they got is theirs to spend."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: DeliveryBody = decoded(DeliveryBody, await call.body(BODY_BYTES_MAX))
    key = required_key(call.header(b"idempotency-key"))
    await await_visible(services.database, call.header(HEADER.lower().encode()))
    named = await orders_named(services, name)
    await require_of_sellers(services, principal, named, Action.OPERATE)
    orders = _delivered(named, body.payment_orders)
    waiting = [order for order in orders if not order.is_released]
    if not waiting:
        return Answer(200, encode(state_of(orders)), encoded_headers(REPLAYED))
    outcomes, headers = await ask(services, call, [_release(order, key) for order in waiting])
    for outcome in outcomes:
        await require_taken(services, outcome, headers)
    ids = [order.asked.payment_order_id for order in orders]
    return await _looked_at(
        services, outcomes[0].deadline, orders[0].checkout, ids, headers, lambda order: order.is_released
    )


def _delivered(orders: list[PlacedOrder], named: list[str] | None) -> list[PlacedOrder]:
    """Those of the orders that are named, or all that are paid. Raises Problem where one of them is not, or none."""
    chosen = [order for order in orders if named is None or order.asked.payment_order_id in named]
    if not chosen or len(chosen) < len(set(named or ())):
        raise field_problem(FieldError("/payment_orders", Fault.FIELD_INVALID, "Name payment orders of this order."))
    unpaid = [order for order in chosen if not order.wallet_updated]
    if unpaid and (named is not None or len(unpaid) == len(chosen)):
        failed = all(order.status is OrderStatus.FAILED for order in unpaid)
        raise refused(Reason.ORDER_FAILED if failed else Reason.ORDER_EXECUTING)
    return [order for order in chosen if order.wallet_updated]


def _release(order: PlacedOrder, key: str) -> ClearDeposit:
    envelope = Envelope(key_of("deliver", f"{order.order_id.hex()}{key}"))
    return ClearDeposit(envelope=envelope, account=order.asked.seller, deposit_id=order.order_id)


async def _looked_at(
    services: Services,
    deadline: float,
    checkout: bytes,
    payment_order_ids: Sequence[str],
    headers: dict[str, str],
    settled: Callable[[PlacedOrder], bool],
) -> Answer:
    """These orders of a checkout as Postgres shows them: 200 once all are settled, 202 before."""

    async def look() -> list[PlacedOrder] | None:
        found = await find_checkout(services.database, checkout)
        return [order for order in found if order.asked.payment_order_id in payment_order_ids] or None

    orders = await look_until(deadline, look, lambda found: all(map(settled, found)))
    if orders is None:
        raise unknown_order()
    status = 200 if all(map(settled, orders)) else 202
    return Answer(status, encode(state_of(orders)), encoded_headers(headers))
