"""The routes of commerce: those of the e-commerce contract (`/payments`) and of the order service (`/order`,
`/payment`, `/refunds`), which mean the same operations.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from ingest_api.commerce import checkouts, made_orders, payouts, refunds
from ingest_api.commerce.bodies import (
    CheckoutBody,
    DeliveryBody,
    OrderBody,
    PayOrderBody,
    PayoutBody,
    RefundBody,
)
from ingest_api.commerce.shown import CheckoutState, OrderRefund, OrderState, PaymentOrderState, PayoutState
from ingest_api.http.openapi import CONSISTENCY, describe, of_writes, problem_answer, reference_to
from ingest_api.http.resources import Payment
from ingest_api.http.serving import read, respond
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.refunds.giving import refund_payment
from ingest_api.services import Services
from payments.identifiers import PAYMENT, parse_id

router = APIRouter(tags=["commerce"])

Found = Callable[[Services, Principal], Awaitable[Any]]


async def _read(request: Request, find: Found) -> Response:
    """A look at something, by whoever may read payments."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.PAYMENTS_READ, lambda principal: find(services, principal)),
    )


def _write(summary: str, body: type, result: type, *, key_needed: bool = True, looks: bool = False) -> dict[str, Any]:
    """`looks`: it is about something that was written before, and may not be visible yet."""
    described = describe(summary, Scope.PAYMENTS_WRITE, result, body=body, key_needed=key_needed)
    described["responses"][409] = problem_answer(409)
    if looks:
        described["openapi_extra"]["parameters"].append(CONSISTENCY)
    return described


def _either(described: dict[str, Any], *kinds: type) -> dict[str, Any]:
    """Good answers are one of these."""
    for status, answer in described["responses"].items():
        if status < 300:
            answer["content"]["application/json"]["schema"] = {"anyOf": [reference_to(kind) for kind in kinds]}
    return described


def _cancelling() -> dict[str, Any]:
    described = describe("Cancel an order", Scope.PAYMENTS_WRITE, OrderState, statuses=(200, 202))
    described["openapi_extra"]["parameters"] += of_writes(key_needed=False)
    described["responses"] |= {409: problem_answer(409), 429: problem_answer(429), 413: problem_answer(413)}
    return _either(described, OrderState, CheckoutState)


_LOOK = _either(
    describe("A payment order, or a whole checkout", Scope.PAYMENTS_READ, PaymentOrderState),
    PaymentOrderState,
    CheckoutState,
)


@router.post("/payments", **_write("Pay several sellers at once", CheckoutBody, CheckoutState, key_needed=False))
async def post_payments(request: Request) -> Response:
    """Each payment order is charged alone, and succeeds or fails alone. `checkout_id` is the idempotency key."""
    return await respond(request, checkouts.place_checkout)


@router.get("/payments/{payment_id}", **_LOOK)
async def get_payments(request: Request, payment_id: str) -> Response:
    """By `payment_order_id` one order with its refunds, by `checkout_id` all of a checkout."""
    return await _read(request, lambda services, who: checkouts.find_payment(services, who, payment_id))


@router.post("/order", **_write("Make an order", OrderBody, OrderState, key_needed=False))
async def post_order(request: Request) -> Response:
    """Nothing is paid yet: POST /payment pays it, DELETE /order cancels it."""
    return await respond(request, made_orders.make_order)


@router.get("/order/{order_id}", **describe("An order", Scope.PAYMENTS_READ, OrderState))
async def get_order(request: Request, order_id: str) -> Response:
    """With its checkout, once it is paid or being paid."""
    return await _read(request, lambda services, who: made_orders.find_made_order(services, who, order_id))


@router.delete("/order", **_cancelling())
async def delete_order(request: Request, id: str | None = None) -> Response:
    """Before it is paid for certain; while the provider is asked it is refused; after that by a refund. The id of the
    order, or of one payment order, is in the query, or in a body `{"id": …}`.
    """
    return await respond(request, lambda services, call: made_orders.cancel_order(services, call, id))


@router.post("/payment", **_write("Pay an order", PayOrderBody, CheckoutState, key_needed=False))
async def post_payment(request: Request) -> Response:
    """The checkout of the order, whose id is the idempotency key; what each seller sells is one payment order."""
    return await respond(request, checkouts.pay_order)


@router.get("/payment/{payment_id}", **_LOOK)
async def get_payment(request: Request, payment_id: str) -> Response:
    """As GET /payments/{payment_id}."""
    return await _read(request, lambda services, who: checkouts.find_payment(services, who, payment_id))


@router.post(
    "/refunds/{payment_id}",
    **_either(_write("Refund a payment order", RefundBody, OrderRefund, looks=True), OrderRefund, Payment),
)
async def post_refund(request: Request, payment_id: str) -> Response:
    """Part or all of it, repeatedly, and never beyond what was paid, however many ask at once. By `payment_order_id`;
    with the id of a payment the same as `POST /transfers/{payment_id}/refunds`.
    """
    refund = refund_payment if parse_id(PAYMENT, payment_id) is not None else refunds.refund_order
    return await respond(request, lambda services, call: refund(services, call, payment_id))


@router.post(
    "/orders/{order_id}/deliver",
    **_write("Say that an order was delivered", DeliveryBody, CheckoutState, looks=True),
)
async def post_delivery(request: Request, order_id: str) -> Response:
    """What its sellers got becomes available to them. By `payment_order_id`, `checkout_id`, or the id of an order."""
    return await respond(request, lambda services, call: made_orders.deliver(services, call, order_id))


@router.post("/payouts", **_write("Pay a seller out", PayoutBody, PayoutState))
async def post_payout(request: Request) -> Response:
    """Reserved at once; posted when the provider has done it, else the account's again."""
    return await respond(request, payouts.pay_out)


@router.get("/payouts/{payout_id}", **describe("A payout", Scope.PAYMENTS_READ, PayoutState))
async def get_payout(request: Request, payout_id: str) -> Response:
    """Where it stands."""
    return await _read(request, lambda services, who: payouts.find_paid_out(services, who, payout_id))
