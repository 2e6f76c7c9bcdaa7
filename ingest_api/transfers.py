"""POST /transfers and everything that moves money by one command: the command, its outcome, and how it is answered.

Posted 201, pending 202 + Location, refused by a rule 422 (unknown account 404) with the payment inside; a replay
answers what is true now.
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from ingest_api.aliases.service import names_an_alias
from ingest_api.fx.priced import priced
from ingest_api.http.bodies import PricedBody, decoded, transfer_command
from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe
from ingest_api.http.preferences import DEFAULT_WAIT_S, preferred_wait_s, required_key
from ingest_api.http.resources import STATUS_OF, Payment, PaymentState, encode, payment_of
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, read, respond
from ingest_api.identity.second_factor.step_up import require_for_money_out
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.rights import Action
from ingest_api.problems import FieldError, field_problem, refused
from ingest_api.reads.consistency import HEADER, encode_token
from ingest_api.reads.database import Database
from ingest_api.reads.payments import find_payment, unknown_payment
from ingest_api.reads.settled import look_until
from ingest_api.risk.attributes import RiskBody
from ingest_api.seed_routes.words import transfer_word
from ingest_api.services import Services
from ingest_api.submission import Outcome, record_headers
from payments.commands import Command, CommandKind
from payments.entries import EntryKind
from payments.identifiers import ACCOUNT, PAYMENT, is_system, parse_id
from payments.lifecycle import PaymentStatus
from payments.movements.instructions import Attributes, Headline, Instruction
from payments.rejections import Reason

_REFUSED = frozenset({PaymentStatus.REJECTED, PaymentStatus.RETURNED})

router = APIRouter(tags=["transfers"])


async def create_transfer(services: Services, call: Call) -> Answer:
    """Move money from one account to another, each named by id or alias."""
    principal, body, key = await read_body(services, call, PricedBody)
    if names_an_alias(body):
        body = await services.aliases.resolved(principal.subject, key, body)
    command = checked(transfer_command(body, key))
    attributes = None if body.risk is None else known_of(services, body.risk)
    await require_to_pay(services, principal, command)
    if body.quote_id is None and body.fee is None:
        return await move(services, call, command, attributes)
    asked = await priced(services, principal, body, command, attributes or Attributes())
    return await move_instructed(services, call, asked, asked.headline)


async def require_to_pay(services: Services, principal: Principal, command: Command) -> None:
    """The right to move this money and, where it leaves by the account of a method, a second factor. Raises Problem,
    DatabaseUnavailable.
    """
    await services.access.require(principal, command.payer, Action.MOVE_MONEY)
    if is_system(command.payee):
        await require_for_money_out(services, principal, command.amount_minor, command.currency)


def known_of(services: Services, body: RiskBody) -> Attributes:
    """What the risk rules may know of how a payment was asked for. Raises Problem."""
    attributes = services.risk_keys.attributes(body)
    if isinstance(attributes, FieldError):
        raise field_problem(attributes)
    return attributes


async def read_body(services: Services, call: Call, kind: type) -> tuple[Principal, Any, str]:
    """Who moves money, what is asked for, and under which key. Raises Problem."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body = await call.body(BODY_BYTES_MAX)
    key = required_key(call.header(b"idempotency-key"))
    return principal, decoded(kind, body), key


def checked(command: Command | FieldError) -> Command:
    """The command, where there is one. Raises Problem."""
    if isinstance(command, FieldError):
        raise field_problem(command)
    return command


async def move(services: Services, call: Call, command: Command, attributes: Attributes | None = None) -> Answer:
    """Send a payment, and answer what became of it. Raises Problem, QueueFull, DeliveryUnknown."""
    asked_s = preferred_wait_s(call.header(b"prefer"))
    wait_s = DEFAULT_WAIT_S if asked_s is None else asked_s
    headers = record_headers(call.request_id, call.header(b"traceparent"))
    outcome = await services.submission.submit(command, wait_s, headers, attributes)
    return await outcome_answer(services.database, command, outcome, answer_headers(outcome.positions, asked_s))


async def move_instructed(services: Services, call: Call, asked: Instruction, paid: Headline) -> Answer:
    """The same of an instruction that becomes this payment."""
    asked_s = preferred_wait_s(call.header(b"prefer"))
    wait_s = DEFAULT_WAIT_S if asked_s is None else asked_s
    headers = record_headers(call.request_id, call.header(b"traceparent"))
    (outcome,) = await services.submission.instruct([asked], wait_s, headers)
    key, reply_to, description, _ = asked.envelope
    command = Command(CommandKind.TRANSFER, *paid, reply_to, key, description)
    return await outcome_answer(services.database, command, outcome, answer_headers(outcome.positions, asked_s))


def answer_headers(positions: dict[int, int], asked_s: int | None) -> dict[str, str]:
    """What every answer to a write carries."""
    headers = {HEADER: encode_token(positions)}
    if asked_s is not None:
        headers["Preference-Applied"] = f"wait={asked_s}"
    return headers


async def outcome_answer(database: Database, command: Command, outcome: Outcome, headers: dict[str, str]) -> Answer:
    """What became of a payment, asked for by this command or by an instruction that means the same. Raises Problem."""
    reply = outcome.reply
    if reply is None or reply.kind in _MOVES:
        return payment_answer(payment_of(outcome.operation_id, command, reply), headers, 201)
    if reply.kind is not EntryKind.REPLAYED:
        problem = refused(reply.reason)
        problem.headers = headers
        raise problem
    seen = await look_until(outcome.deadline, lambda: find_payment(database, outcome.operation_id), lambda p: p.final)
    asked = payment_of(outcome.operation_id, command, None)
    if seen is not None and _moved(seen) != _moved(asked):  # an instruction of long ago: the agents have forgotten it
        raise refused(Reason.IDEMPOTENCY_KEY_REUSED)
    payment = seen or asked
    return payment_answer(payment, headers | {"Idempotency-Replayed": "true"}, 200)


_MOVES = frozenset(STATUS_OF)


def _moved(payment: Payment) -> tuple[str, str, int, str]:
    return payment.from_account, payment.to_account, payment.amount_minor, payment.currency


def payment_answer(payment: Payment, headers: dict[str, str], done_status: int) -> Answer:
    """The payment as an answer. Raises Problem where a rule refused it."""
    if payment.status in _REFUSED:
        problem = refused(Reason(payment.reason or Reason.NONE), {"payment": payment})
        problem.headers = headers
        raise problem
    located = headers | {"Location": f"/v1/transfers/{payment.id}"}
    return Answer(done_status if payment.final else 202, encode(payment), encoded_headers(located))


def encoded_headers(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """As ASGI wants them."""
    return [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


async def _find(services: Services, principal: Principal, payment_id: str) -> Payment:
    parsed = parse_id(PAYMENT, payment_id)
    payment = await find_payment(services.database, parsed) if parsed is not None else None
    if payment is None:
        raise unknown_payment()
    await require_party(services, principal, payment)
    return payment


async def require_party(services: Services, principal: Principal, payment: Payment) -> None:
    """A payment is shown to whom one of its accounts is. Raises Problem, DatabaseUnavailable."""
    parties = (parse_id(ACCOUNT, payment.from_account), parse_id(ACCOUNT, payment.to_account))
    if not await services.access.may_view_any(principal, [account for account in parties if account is not None]):
        raise unknown_payment()


async def _find_state(services: Services, principal: Principal, payment_id: str) -> PaymentState:
    payment = await _find(services, principal, payment_id)
    word = transfer_word(PaymentStatus(payment.status), payment.reason)
    return PaymentState(payment.id, payment.status, word, payment.final, payment.reason)


@router.post("/transfers", **describe("Move money between two accounts", Scope.PAYMENTS_WRITE, body=PricedBody))
async def post_transfer(request: Request) -> Response:
    """Decided at the payer's partition, posted at the payee's. The same key and body answer the first outcome again,
    whatever an alias stands for meanwhile.
    """
    return await respond(request, create_transfer)


@router.get("/transfers/{payment_id}", **describe("One payment", Scope.PAYMENTS_READ, result=Payment))
async def get_transfer(request: Request, payment_id: str) -> Response:
    """As Postgres shows it; send the Consistency-Token of the write to see at least that."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.PAYMENTS_READ, lambda who: _find(services, who, payment_id)),
    )


@router.get("/transfers/{payment_id}/status", **describe("Where a payment stands", Scope.PAYMENTS_READ, PaymentState))
async def get_transfer_status(request: Request, payment_id: str) -> Response:
    """The status word, whether it is final, and why it was refused."""
    return await respond(
        request,
        lambda services, call: read(
            services, call, Scope.PAYMENTS_READ, lambda who: _find_state(services, who, payment_id)
        ),
    )
