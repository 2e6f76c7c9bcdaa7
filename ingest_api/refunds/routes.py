"""Refunds of payments over HTTP."""

from fastapi import APIRouter, Request, Response

from ingest_api.commerce.bodies import RefundBody
from ingest_api.http.openapi import describe_later
from ingest_api.http.resources import Payment
from ingest_api.http.serving import respond
from ingest_api.identity.tokens import Scope
from ingest_api.refunds.giving import refund_payment

router = APIRouter(tags=["transfers"])


@router.post(
    "/transfers/{payment_id}/refunds", **describe_later("Refund a payment", Scope.PAYMENTS_WRITE, Payment, RefundBody)
)
async def post_payment_refund(request: Request, payment_id: str) -> Response:
    """By its payee, a merchant: part or all of it, repeatedly; with disputes never beyond what was paid, however many
    ask at once. Without `amount` it is all that the payer paid, a fee on top too. `POST /refunds/{payment_id}` means
    the same where the id is that of a payment.
    """
    return await respond(request, lambda services, call: refund_payment(services, call, payment_id))
