"""Part or all of a payment, back to who paid it: a payment of its own, decided where the payee is."""

from ingest_api.account_changes.changing import key_of
from ingest_api.commerce.bodies import RefundBody
from ingest_api.http.bodies import description_fault, is_given, parse_amount
from ingest_api.http.call import Answer, Call
from ingest_api.identity.tokens import Principal
from ingest_api.instructions.asking import move, required, sought
from ingest_api.owners.access import denial
from ingest_api.owners.rights import Action, Verdict
from ingest_api.problems import FieldError, field_problem
from ingest_api.reads.payments import unknown_payment
from ingest_api.reads.received import Received, find_received
from ingest_api.services import Services
from ingest_api.transfers import read_body
from payments.identifiers import PAYMENT, parse_id
from payments.movements.instructions import Envelope, Refund


async def refund_payment(services: Services, call: Call, payment_id: str) -> Answer:
    """Give part or all of a payment back; without an amount the whole of it."""
    principal, body, key = await read_body(services, call, RefundBody)
    required(description_fault(body.description))
    paid = await sought(services, call, lambda: _received(services, principal, payment_id))
    amount_minor = parse_amount(body.amount, paid.currency) if is_given(body.amount) else paid.amount_minor
    if isinstance(amount_minor, FieldError):
        raise field_problem(amount_minor)
    asked = Refund(
        envelope=Envelope(key_of(f"refund {payment_id}", key), description=body.description),
        merchant=paid.payee,
        customer=paid.payer,
        payment_id=paid.payment_id,
        payment_amount_minor=paid.amount_minor,
        amount_minor=amount_minor,
        currency=paid.currency,
    )
    return await move(services, call, asked, asked.headline)


async def _received(services: Services, principal: Principal, payment_id: str) -> Received:
    """A payment that the principal may give back. Raises Problem: what is not the principal's is not there."""
    parsed = parse_id(PAYMENT, payment_id)
    paid = await find_received(services.database, parsed) if parsed is not None else None
    if paid is None or not await services.access.may_view_any(principal, (paid.payer, paid.payee)):
        raise unknown_payment()
    if await services.access.denials(principal, [paid.payee], Action.MOVE_MONEY):
        raise denial(Verdict.FORBIDDEN, Action.MOVE_MONEY)
    return paid
