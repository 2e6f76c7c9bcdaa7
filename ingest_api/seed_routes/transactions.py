"""POST /transaction of document 0: a transfer, or a transfer over a bank, by the document's names and words.

Guarantees: it is the same operation as POST /transfers and POST /external-banks/{id}/transfers, with the same rules; a
repeat of the same body, with or without a key, moves money once.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from ingest_api.aliases.parties import USER
from ingest_api.aliases.service import names_an_alias
from ingest_api.external_banks.asking import asked, is_bank_account, sides
from ingest_api.external_banks.transfers import move_over_bank
from ingest_api.http.bodies import TransferBody, decoded, parse_amount, transfer_command
from ingest_api.http.call import Answer, Call
from ingest_api.http.preferences import idempotency_key
from ingest_api.http.resources import Payment, account_text, encode, rfc3339
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.rights import Action
from ingest_api.people.finding import default_of
from ingest_api.people.linking import own_linked
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.reads.accounts import find_account, known_account
from ingest_api.seed_routes.shown import TransactionBody, shown_bank_transfer, shown_payment
from ingest_api.services import Services
from ingest_api.transfers import checked, encoded_headers, move, require_to_pay
from payments.identifiers import ACCOUNT, parse_id
from payments.movements.instructions import Envelope

_AHEAD_MAX: Final = timedelta(minutes=5)
"""Clocks differ. What is to be paid later is a scheduled transfer."""

_FIELDS: Final = {"/from_account": "/fromId", "/to_account": "/toId"}
"""The document's names of what a transfer calls otherwise."""

_KEPT_HEADERS: Final = frozenset({b"consistency-token", b"idempotency-replayed", b"preference-applied"})


async def create_transaction(services: Services, call: Call) -> Answer:
    """Send money; 200 with the document's word for what became of it."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    raw = await call.body(BODY_BYTES_MAX)
    body: TransactionBody = decoded(TransactionBody, raw)
    date = _date(body.transaction_date)
    key = idempotency_key(call.header(b"idempotency-key")) or _key_of(body)
    currency = body.currency or await _currency(services, principal, body)
    try:
        if is_bank_account(body.from_id) or is_bank_account(body.to_id):
            return await _over_bank(services, call, principal, body, currency, key)
        return await _transferred(services, call, principal, body, currency, key)
    except Problem as problem:
        problem.errors = tuple(one._replace(pointer=_FIELDS.get(one.pointer, one.pointer)) for one in problem.errors)
        payment = problem.members.get("payment")
        if not isinstance(payment, Payment) or problem.status == 404:
            raise
        return Answer(200, encode(shown_payment(payment, date)), encoded_headers(problem.headers))


def _date(text: str) -> str:
    """When it is dated, now where it says nothing. Raises Problem for a time to come."""
    now = datetime.now(UTC)
    if not text:
        return rfc3339(now)
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        if at <= now + _AHEAD_MAX:
            return rfc3339(at)
    except (ValueError, OverflowError):
        pass
    detail = "Send an RFC 3339 time that has come. For a later one use POST /v1/scheduled-transfers."
    raise field_problem(FieldError("/transactionDate", Fault.FIELD_INVALID, detail))


def _key_of(body: TransactionBody) -> str:
    """The document's transaction has no key: what it says is one, with its date. Raises Problem without a date."""
    if not body.transaction_date:
        detail = "Send transactionDate, or an Idempotency-Key: a repeat could not be told from a new one."
        raise field_problem(FieldError("/transactionDate", Fault.FIELD_MISSING, detail))
    return f"transaction-{hashlib.sha256(msgspec.json.encode(body)).hexdigest()}"


async def _currency(services: Services, principal: Principal, body: TransactionBody) -> str:
    """Of the paying side, else of the other one. Raises Problem."""
    for party in (body.from_id, body.to_id):
        if is_bank_account(party):
            return (await own_linked(services, principal, party)).currency
        if parse_id(ACCOUNT, party) is not None:
            account = known_account(party)
            await services.access.require(principal, account, Action.VIEW)
            return (await find_account(services.database, account)).currency
        user = parse_id(USER, party)
        default = await default_of(services, user) if user is not None else None
        if default is not None:
            return default.currency
    detail = "Send the currency: neither side is an account, a user with an account, or a linked bank account."
    raise field_problem(FieldError("/currency", Fault.FIELD_MISSING, detail))


async def _transferred(
    services: Services, call: Call, principal: Principal, body: TransactionBody, currency: str, key: str
) -> Answer:
    asked_for = TransferBody(body.from_id, body.to_id, body.amount, currency)
    if names_an_alias(asked_for):
        asked_for = await services.aliases.resolved(principal.subject, key, asked_for)
    command = checked(transfer_command(asked_for, key))
    await require_to_pay(services, principal, command)
    moved = await move(services, call, command)
    payment = msgspec.json.decode(moved.body, type=Payment)
    headers = [header for header in moved.headers if header[0] in _KEPT_HEADERS]
    return Answer(200, encode(shown_payment(payment, _date(body.transaction_date))), headers)


async def _over_bank(
    services: Services, call: Call, principal: Principal, body: TransactionBody, currency: str, key: str
) -> Answer:
    amount_minor = parse_amount(body.amount, currency)
    if isinstance(amount_minor, FieldError):
        raise field_problem(amount_minor)
    payer, payee = [await _account_of(services, party, currency) for party in (body.from_id, body.to_id)]
    found = await sides(services, principal, (payer, "/fromId"), (payee, "/toId"))
    moved = await move_over_bank(services, call, asked(found, None, amount_minor, currency), Envelope(key), principal)
    shown = shown_bank_transfer(moved.transfer, _date(body.transaction_date))
    return Answer(200, encode(shown), encoded_headers(moved.headers))


async def _account_of(services: Services, party: str, currency: str) -> str:
    """A user's id stands for the default account; anything else for itself."""
    user = parse_id(USER, party)
    default = await default_of(services, user, currency) if user is not None else None
    return account_text(default.account.bytes) if default is not None else party
