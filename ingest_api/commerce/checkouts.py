"""Checkouts: paid through a provider, order by order, and looked at.

A checkout's id is its idempotency key. The answer waits until every payment order has its outcome, or waits for its
payer; one that takes longer is told as far as it is.
"""

from collections.abc import Sequence
from urllib.parse import quote

from ingest_api.account_changes.asking import is_replay
from ingest_api.commerce.bodies import (
    BODY_BYTES_MAX,
    CheckoutBody,
    PayOrderBody,
    asked_orders,
    buyer_fault,
    checkout_fault,
    decoded,
    orders_of,
)
from ingest_api.commerce.orders import Order as MadeOrder
from ingest_api.commerce.reads import PlacedOrder, are_taken, are_those, find_checkout, find_order, find_refunds
from ingest_api.commerce.shown import CheckoutState, PaymentOrderState, checkout_state, payment_order_state
from ingest_api.http.call import Answer, Call
from ingest_api.http.serving import JSON_MEDIA, admit
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import answer, ask, require_taken, required, reused
from ingest_api.owners.rights import Action, by_scope
from ingest_api.problems import Fault, FieldError, Problem, field_problem, refused
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from payments.identifiers import CHECKOUT, ORDER, derive_checkout_id, parse_id
from payments.movements.instructions import Envelope, Order, PlaceCheckout
from payments.rejections import Reason


async def place_checkout(services: Services, call: Call) -> Answer:
    """Pay several sellers at once."""
    admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: CheckoutBody = decoded(CheckoutBody, await call.body(BODY_BYTES_MAX))
    required(checkout_fault(body))
    orders = asked_orders(body.payment_orders)
    if isinstance(orders, FieldError):
        raise field_problem(orders)
    if await are_taken(services.database, body.checkout_id, orders):
        detail = "Another checkout, or a payment order of another one, has one of these ids."
        raise field_problem(FieldError("/payment_orders", Fault.FIELD_INVALID, detail))
    return await _placed(services, call, _instruction(body.checkout_id, body, orders))


async def pay_order(services: Services, call: Call) -> Answer:
    """Pay an order that was made before. Its id is the checkout's."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: PayOrderBody = decoded(PayOrderBody, await call.body(BODY_BYTES_MAX))
    required(buyer_fault(body.credit_card_info, body.buyer_info))
    made = await own_order(services, principal, body.order_id)
    order = await services.orders.check_out(made.order_id)
    if order is None or order.cancelled_at is not None:
        raise refused(Reason.ORDER_CANCELLED)
    orders = orders_of(body.order_id, order.lines, is_on_delivery=body.release == "on_delivery")
    return await _placed(services, call, _instruction(body.order_id, body, orders))


async def own_order(services: Services, principal: Principal, order_id: str) -> MadeOrder:
    """An order that the principal has made, or any one for who may look at every account. Raises Problem 404."""
    parsed = parse_id(ORDER, order_id)
    order = await services.orders.find(parsed) if parsed is not None else None
    if order is None or (order.ordered_by != principal.subject and not by_scope(principal.scopes, Action.VIEW)):
        raise unknown_order()
    return order


def _instruction(name: str, body: CheckoutBody | PayOrderBody, orders: Sequence[Order]) -> PlaceCheckout:
    """The checkout's name is kept as its description: nothing else in the log has it."""
    return PlaceCheckout(
        envelope=Envelope(name, description=name),
        checkout=derive_checkout_id(name),
        provider=body.credit_card_info.provider,
        token=body.credit_card_info.token,
        buyer=body.buyer_info.reference,
        orders=tuple(orders),
    )


async def _placed(services: Services, call: Call, asked: PlaceCheckout) -> Answer:
    (outcome,), headers = await ask(services, call, [asked])
    await require_taken(services, outcome, headers)
    found = await look_until(
        outcome.deadline,
        lambda: _found(services, asked.checkout),
        lambda orders: all(one.waits_for_people for one in orders),
    )
    if found and not are_those(found, asked.orders):
        raise reused()
    name = asked.envelope.idempotency_key
    states = [order.state for order in found] if found else [payment_order_state(name, order) for order in asked.orders]
    state = checkout_state(asked.checkout, name, asked.buyer, states)
    location = f"/v1/payments/{quote(name, safe='')}"
    return answer(state, location, headers, done=state.is_payment_done, replayed=is_replay(outcome))


async def _found(services: Services, checkout: bytes) -> list[PlacedOrder] | None:
    return await find_checkout(services.database, checkout) or None


async def find_payment(services: Services, principal: Principal, payment_id: str) -> PaymentOrderState | CheckoutState:
    """A payment order by its id, with its refunds, or a checkout with all of its orders. Raises Problem."""
    order = await find_order(services.database, payment_id)
    if order is not None:
        await require_view(services, principal, [order])
        state = order.state
        state.refunds = await find_refunds(services.database, order)
        return state
    orders = await orders_named(services, payment_id)
    await require_view(services, principal, orders)
    return state_of(orders)


def state_of(orders: Sequence[PlacedOrder]) -> CheckoutState:
    """The checkout of these orders, of which there is one at least."""
    first = orders[0]
    return checkout_state(first.checkout, first.checkout_name, first.buyer, [order.state for order in orders])


async def orders_named(services: Services, name: str) -> list[PlacedOrder]:
    """The payment order of this id, or all orders of the checkout of this id. Raises Problem 404."""
    order = await find_order(services.database, name)
    if order is not None:
        return [order]
    checkout = parse_id(CHECKOUT, name) or derive_checkout_id(name)
    orders = await find_checkout(services.database, checkout)
    if not orders:
        raise unknown_order()
    return orders


async def require_view(services: Services, principal: Principal, orders: Sequence[PlacedOrder]) -> None:
    """Raises Problem 404 where the principal has no part in any of the sellers' accounts."""
    if not await services.access.may_view_any(principal, {order.asked.seller for order in orders}):
        raise unknown_order()


async def require_of_sellers(
    services: Services, principal: Principal, orders: Sequence[PlacedOrder], action: Action
) -> None:
    """Raises Problem where the principal may not do this with the account of every seller; where it may not even look
    at one, as if there were no such order.
    """
    for denial in (await services.access.denials(principal, {o.asked.seller for o in orders}, action)).values():
        raise unknown_order() if denial.code is Reason.ACCOUNT_NOT_FOUND else denial


def unknown_order() -> Problem:
    """404: never placed, or not visible yet."""
    detail = "Check the id. What was placed just now is visible when its Consistency-Token is sent with the request."
    return Problem(Reason.ORDER_NOT_FOUND, detail)
