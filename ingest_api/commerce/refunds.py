"""Refunds of payment orders: partial, repeated, never beyond what was captured. Decided at the checkout's partition."""

from urllib.parse import quote

from ingest_api.account_changes.asking import is_replay
from ingest_api.account_changes.changing import key_of
from ingest_api.commerce.bodies import BODY_BYTES_MAX, RefundBody, decoded
from ingest_api.commerce.checkouts import orders_named, require_of_sellers
from ingest_api.commerce.reads import PlacedOrder, find_refund
from ingest_api.commerce.shown import OrderRefund, money
from ingest_api.http.bodies import description_fault, is_given, parse_amount
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import required_key
from ingest_api.http.serving import JSON_MEDIA, admit
from ingest_api.identity.tokens import Scope
from ingest_api.instructions.asking import answer, ask, refusal, require_taken, reused
from ingest_api.owners.rights import Action
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.reads.consistency import HEADER, await_visible
from ingest_api.reads.settled import look_until
from ingest_api.services import Services
from ingest_api.submission import Outcome
from payments.entries import EntryKind
from payments.identifiers import REFUND, format_id
from payments.lifecycle import PaymentStatus
from payments.movements.instructions import Envelope, RefundOrder
from payments.rejections import Reason


async def refund_order(services: Services, call: Call, name: str) -> Answer:
    """Give part or all of a payment order back through the provider that charged it."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: RefundBody = decoded(RefundBody, await call.body(BODY_BYTES_MAX))
    key = required_key(call.header(b"idempotency-key"))
    await await_visible(services.database, call.header(HEADER.lower().encode()))
    order = _only(await orders_named(services, name))
    await require_of_sellers(services, principal, [order], Action.MOVE_MONEY)
    asked = RefundOrder(
        envelope=Envelope(key_of("refund", key), description=_checked(body)),
        checkout=order.checkout,
        payment_order_id=order.asked.payment_order_id,
        amount_minor=_amount_minor(body, order),
        currency=order.asked.currency,
    )
    (outcome,), headers = await ask(services, call, [asked])
    await require_taken(services, outcome, headers)
    return await _answered(services, asked, outcome, headers)


def _only(orders: list[PlacedOrder]) -> PlacedOrder:
    if len(orders) > 1:
        raise Problem(Fault.PARAMETER_INVALID, "This checkout has several payment orders: refund each by its own id.")
    return orders[0]


def _checked(body: RefundBody) -> str:
    fault = description_fault(body.description)
    if fault is not None:
        raise field_problem(fault)
    return body.description


def _amount_minor(body: RefundBody, order: PlacedOrder) -> int:
    """The whole order where no amount is named. Raises Problem."""
    if not is_given(body.amount):
        return order.asked.amount_minor
    amount_minor = parse_amount(body.amount, order.asked.currency)
    if isinstance(amount_minor, FieldError):
        raise field_problem(amount_minor)
    return amount_minor


async def _answered(services: Services, asked: RefundOrder, outcome: Outcome, headers: dict[str, str]) -> Answer:
    replayed = is_replay(outcome)
    found = await look_until(
        outcome.deadline,
        lambda: find_refund(services.database, outcome.operation_id),
        lambda refund: refund.final,
    )
    refund = found or _asked(asked, outcome)
    told = refund.payment_order_id, refund.amount_minor, refund.currency
    if told != (asked.payment_order_id, asked.amount_minor, asked.currency):
        raise reused()
    if refund.reason is not None:
        raise refusal(Reason(refund.reason), headers, replayed=replayed)
    location = f"/v1/payments/{quote(asked.payment_order_id, safe='')}"
    return answer(refund, location, headers, done=refund.final, replayed=replayed)


def _asked(asked: RefundOrder, outcome: Outcome) -> OrderRefund:
    """A refund that Postgres does not have yet, as its reply tells it."""
    posted = outcome.reply is not None and outcome.reply.kind is EntryKind.JOURNAL_POSTED
    return OrderRefund(
        id=format_id(REFUND, outcome.operation_id),
        payment_order_id=asked.payment_order_id,
        status=PaymentStatus.POSTED if posted else PaymentStatus.RECEIVED,
        final=posted,
        **money(asked.amount_minor, asked.currency),
    )
