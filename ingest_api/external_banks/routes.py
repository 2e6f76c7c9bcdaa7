"""Banks over HTTP: register, list, transfer to and from linked bank accounts, look at a transfer."""

import os
import time
from typing import Annotated, Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.aliases.pins import request_digest
from ingest_api.external_banks.asking import asked, sides
from ingest_api.external_banks.register import BANKS_MAX
from ingest_api.external_banks.shown import (
    BankTransfer,
    BankTransferBody,
    ExternalBankBody,
    ExternalBankList,
    ExternalBankResource,
    shown_bank,
    shown_transfer,
)
from ingest_api.external_banks.transfers import find_state, move_over_bank
from ingest_api.http.bodies import decoded, description_fault, parse_amount, text_fault
from ingest_api.http.call import Answer, Call
from ingest_api.http.edge.hosts import may_be_public
from ingest_api.http.openapi import describe
from ingest_api.http.preferences import idempotency_key
from ingest_api.http.resources import encode, rfc3339
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.instructions.asking import answer, refusal, required
from ingest_api.owners.rights import Action, by_scope
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.reads.cursor import Cursor, decode_cursor, encode_cursor
from ingest_api.reads.payments import unknown_payment
from ingest_api.services import Services
from ingest_api.transfers import read_body
from payments.identifiers import EXTERNAL_BANK, PAYMENT, parse_id, uuid7
from payments.lifecycle import PaymentStatus
from payments.movements.instructions import Envelope
from payments.rejections import Reason
from runtime.personal_data.personal import Personal

router = APIRouter(tags=["external banks"])

_PATH: Final = "/external-banks"
_TRANSFERS: Final = _PATH + "/{bank_id}/transfers"


async def register(services: Services, call: Call) -> Answer:
    """Register a bank."""
    principal = admit(services, call, Scope.ACCOUNTS_OPERATE, JSON_MEDIA, 1)
    body: ExternalBankBody = decoded(ExternalBankBody, await call.body(BODY_BYTES_MAX))
    fault = text_fault(body.bank_name, len(body.bank_name), "/bank_name")
    fault = fault or _url_fault(body.api_url, is_local=services.settings.banks == "local")
    if fault is not None:
        raise field_problem(fault)
    key = idempotency_key(call.header(b"idempotency-key"))
    fresh = uuid7(time.time_ns() // 1_000_000, os.urandom(10))
    id_ = request_digest(b"external bank", principal.subject, key)[:16] if key else fresh
    sealed = Personal(msgspec.json.encode(body.auth_credentials).decode())
    bank, is_new = await services.people.banks.enter(id_, body.bank_name, body.api_url, sealed, principal.subject)
    if (bank.name, bank.api_url) != (body.bank_name, body.api_url):
        raise Problem(Reason.IDEMPOTENCY_KEY_REUSED, "This key came before with another body. Use a new key.")
    return Answer(201 if is_new else 200, encode(shown_bank(bank, for_operator=True)))


def _url_fault(url: str, *, is_local: bool) -> FieldError | None:
    """Why this is no address of an API. Where its name leads is looked at with every call, by the connector."""
    detail = "Send an https URL with a host of the internet, without user, query and fragment."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return FieldError("/api_url", Fault.FIELD_INVALID, detail)
    extras = parts.query or parts.fragment or parts.username is not None or port == 0
    schemes = {"https", "http"} if is_local else {"https"}
    if not url.isascii() or not url.isprintable() or parts.scheme not in schemes or not parts.hostname or extras:
        return FieldError("/api_url", Fault.FIELD_INVALID, detail)
    if is_local or may_be_public(parts.hostname):
        return None
    return FieldError("/api_url", Fault.FIELD_INVALID, detail)


class BankQuery(BaseModel, extra="forbid"):
    """Query of the list."""

    limit: int = Field(BANKS_MAX, ge=1, le=BANKS_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


async def _banks(services: Services, principal: Principal, query: BankQuery) -> ExternalBankList:
    for_operator = by_scope(principal.scopes, Action.OPERATE)
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    found = await services.people.banks.banks(after, query.limit + 1)
    shown = found[: query.limit]
    more = len(found) > query.limit
    cursor = encode_cursor(Cursor(shown[-1].registered_at, UUID(bytes=shown[-1].bank))) if more else None
    return ExternalBankList([shown_bank(one, for_operator=for_operator) for one in shown], more, cursor)


async def transfer(services: Services, call: Call, bank_id: str) -> Answer:
    """Move money to or from a linked bank account."""
    principal, body, key = await read_body(services, call, BankTransferBody)
    bank = parse_id(EXTERNAL_BANK, bank_id)
    if bank is None or await services.people.banks.find(bank) is None:
        raise Problem(Fault.EXTERNAL_BANK_UNKNOWN, "No bank is registered by this id.")
    amount_minor = parse_amount(body.amount, body.currency)
    if isinstance(amount_minor, FieldError):
        raise field_problem(amount_minor)
    required(description_fault(body.description))
    found = await sides(services, principal, (body.from_account, "/from_account"), (body.to_account, "/to_account"))
    envelope = Envelope(key, description=body.description)
    what = asked(found, bank, amount_minor, body.currency)
    moved = await move_over_bank(services, call, what, envelope, principal)
    state = moved.transfer
    if state.reason is not None:
        raise refusal(Reason(state.reason), moved.headers, replayed=moved.is_replayed)
    location = f"/v1{_PATH}/{bank_id}/transfers/{state.id}"
    return answer(state, location, moved.headers, done=state.final, replayed=moved.is_replayed)


async def _transfer(services: Services, principal: Principal, bank_id: str, transfer_id: str) -> BankTransfer:
    """A transfer whose account the principal may look at. Raises Problem 404."""
    id_ = parse_id(PAYMENT, transfer_id)
    found = await services.people.banks.transfer(id_) if id_ is not None else None
    if id_ is None or found is None:
        raise unknown_payment()
    what, asked_at = found
    hidden = await services.access.denials(principal, [what.account], Action.VIEW)
    if hidden or parse_id(EXTERNAL_BANK, bank_id) != what.bank:
        raise unknown_payment()
    state = await find_state(services, id_, what)
    state = state or shown_transfer(id_, what, PaymentStatus.RECEIVED, is_final=False)
    state.asked_at = rfc3339(asked_at)
    return state


@router.post(
    _PATH,
    **describe(
        "Register a bank",
        Scope.ACCOUNTS_OPERATE,
        ExternalBankResource,
        body=ExternalBankBody,
        statuses=(201, 200),
        key_needed=False,
    ),
)
async def post_external_bank(request: Request) -> Response:
    """Its API is called with an OAuth 2.0 access token for these credentials, which are sealed and never shown."""
    return await respond(request, register)


@router.get(_PATH, **describe("Registered banks", Scope.ACCOUNTS_READ, ExternalBankList))
async def get_external_banks(request: Request, query: Annotated[BankQuery, Query()]) -> Response:
    """In the order in which they were registered."""
    return await show(request, Scope.ACCOUNTS_READ, lambda services, who: _banks(services, who, query))


@router.post(_TRANSFERS, **describe("Transfer over a bank", Scope.PAYMENTS_WRITE, BankTransfer, body=BankTransferBody))
async def post_bank_transfer(request: Request, bank_id: str) -> Response:
    """To a verified linked bank account or from one. What goes out is reserved, and posted when the bank has done it,
    else the account's again; what comes in is posted when the bank has collected it.
    """
    return await respond(request, lambda services, call: transfer(services, call, bank_id))


@router.get(_TRANSFERS + "/{transfer_id}", **describe("A transfer over a bank", Scope.PAYMENTS_READ, BankTransfer))
async def get_bank_transfer(request: Request, bank_id: str, transfer_id: str) -> Response:
    """Where it stands, and why it came to nothing."""

    async def find(services: Services, principal: Principal) -> BankTransfer:
        return await _transfer(services, principal, bank_id, transfer_id)

    return await show(request, Scope.PAYMENTS_READ, find)
