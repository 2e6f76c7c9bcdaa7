"""Scheduled transfers over HTTP: order, look at, change, pause, cancel. Paid by the scheduler; see running.

Decided in Postgres. Ordering is safe to repeat: the schedule's id follows from caller and Idempotency-Key, so the same
key is the same schedule, whatever has become of it.
"""

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.aliases.pins import request_digest
from ingest_api.aliases.service import names_an_alias
from ingest_api.http.advice import ADVICE
from ingest_api.http.bodies import TransferBody, decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.entity_tags import require_match, tagged
from ingest_api.http.openapi import describe, describe_at_once, guarded
from ingest_api.http.preferences import required_key
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, read, respond, take_tokens
from ingest_api.identity.second_factor.step_up import require_for_money_out
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.rights import Action
from ingest_api.problems import Fault, Problem
from ingest_api.reads.accounts import known_account
from ingest_api.reads.cursor import decode_cursor
from ingest_api.schedules.ordering import changed, ordered, request_of, require_start_ahead
from ingest_api.schedules.register import Stored
from ingest_api.schedules.rows import CANCELLED, ScheduledTransfer, Status
from ingest_api.schedules.shown import (
    OccurrencePage,
    Preview,
    ScheduleBody,
    ScheduleChangeBody,
    ScheduledTransferResource,
    SchedulePage,
    shown,
    shown_occurrences,
    shown_page,
    shown_preview,
)
from ingest_api.services import Services
from ingest_api.transfers import encoded_headers
from payments.identifiers import SCHEDULE, is_system, parse_id
from payments.rejections import Reason

router = APIRouter(tags=["scheduled transfers"])

PAGE_DEFAULT = 50
PAGE_MAX = 500
PREVIEW_MAX = 100
_PATH: Final = "/scheduled-transfers"
_ONE: Final = f"{_PATH}/{{schedule_id}}"


class Page(BaseModel, extra="forbid"):
    """Query of a list."""

    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


class ScheduleQuery(Page):
    """Query of an account's schedules."""

    account: str = Field(description="The account that pays")
    status: Status | None = None


async def order(services: Services, call: Call) -> Answer:
    """Schedule a transfer."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: ScheduleBody = decoded(ScheduleBody, await call.body(BODY_BYTES_MAX))
    key = required_key(call.header(b"idempotency-key"))
    id_ = request_digest(b"schedule", principal.subject, key)[:16]
    asked = ordered(await _resolved(services, principal, key, body), id_)
    await services.access.require(principal, asked.terms.payer, Action.MOVE_MONEY)
    if is_system(asked.terms.payee):  # nobody is there to be asked when it is due
        await require_for_money_out(services, principal, asked.terms.amount_minor, asked.terms.currency)
    request = request_of(asked)
    stored, replayed = await services.schedules.find(id_), True
    if stored is None:
        require_start_ahead(asked.schedule, await services.schedules.now())
        stored, made = await services.schedules.enter(asked, request, principal.subject)
        replayed = not made
    if stored.request != request:
        raise Problem(Reason.IDEMPOTENCY_KEY_REUSED, ADVICE[Reason.IDEMPOTENCY_KEY_REUSED])
    resource = shown(stored)
    headers = {"Location": f"/v1{_PATH}/{resource.id}"} | ({"Idempotency-Replayed": "true"} if replayed else {})
    return tagged(Answer(200 if replayed else 201, encode(resource), encoded_headers(headers)))


async def _resolved(services: Services, principal: Principal, key: str, body: ScheduleBody) -> ScheduleBody:
    """The same with account ids: a schedule pays the account that a name stood for when it was ordered."""
    parties = TransferBody(body.from_account, body.to_account, body.amount, body.currency, body.memo)
    if not names_an_alias(parties):
        return body
    known = await services.aliases.resolved(principal.subject, key, parties)
    return msgspec.structs.replace(body, from_account=known.from_account, to_account=known.to_account)


async def _find(services: Services, principal: Principal, schedule_id: str) -> Stored:
    """A schedule whose payer the principal may look at. Raises Problem, DatabaseUnavailable."""
    parsed = parse_id(SCHEDULE, schedule_id)
    stored = await services.schedules.find(parsed) if parsed is not None else None
    if stored is None or await services.access.denials(principal, [stored.transfer.terms.payer], Action.VIEW):
        raise Problem(Fault.SCHEDULE_UNKNOWN, "Check the id: sch_ and 26 characters, as the order was answered.")
    return stored


async def change(services: Services, call: Call, schedule_id: str) -> Answer:
    """Change, pause or resume a schedule."""
    principal = admit(services, call, Scope.PAYMENTS_WRITE, JSON_MEDIA, 1)
    body: ScheduleChangeBody = decoded(ScheduleChangeBody, await call.body(BODY_BYTES_MAX))
    return await _change(services, call, principal, schedule_id, body)


async def cancel(services: Services, call: Call, schedule_id: str) -> Answer:
    """End a schedule."""
    principal = services.tokens.principal(call.header(b"authorization"), Scope.PAYMENTS_WRITE)
    take_tokens(services, principal, 1)
    return await _change(services, call, principal, schedule_id, None)


async def _change(
    services: Services, call: Call, principal: Principal, schedule_id: str, body: ScheduleChangeBody | None
) -> Answer:
    """A change, or without one the end."""
    stored_now = await _find(services, principal, schedule_id)
    found = stored_now.transfer
    await services.access.require(principal, found.terms.payer, Action.MOVE_MONEY)
    if body is not None and is_system(found.terms.payee):
        wanted_minor = changed(body, stored_now).terms.amount_minor
        if wanted_minor > found.terms.amount_minor:
            await require_for_money_out(services, principal, wanted_minor, found.terms.currency)

    def wanted(stored: Stored) -> ScheduledTransfer:
        require_match(call, encode(shown(stored)))
        return stored.transfer.ended(CANCELLED) if body is None else changed(body, stored)

    stored = await services.schedules.change(found.schedule.schedule_id, principal.subject, wanted)
    return tagged(Answer(200, encode(shown(stored))))


async def _page(services: Services, principal: Principal, query: ScheduleQuery) -> SchedulePage:
    account = known_account(query.account)
    await services.access.require(principal, account, Action.VIEW)
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    return shown_page(await services.schedules.page(account, query.status, after, query.limit + 1), query.limit)


async def _occurrences(services: Services, principal: Principal, schedule_id: str, query: Page) -> OccurrencePage:
    stored = await _find(services, principal, schedule_id)
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    id_ = stored.transfer.schedule.schedule_id
    return shown_occurrences(await services.schedules.occurrences(id_, after, query.limit + 1), query.limit)


async def _preview(services: Services, principal: Principal, schedule_id: str, count: int) -> Preview:
    return shown_preview(await _find(services, principal, schedule_id), count)


def _described_order() -> dict[str, Any]:
    described = describe(
        "Schedule a transfer",
        Scope.PAYMENTS_WRITE,
        ScheduledTransferResource,
        body=ScheduleBody,
        statuses=(201, 200),
    )
    del described["openapi_extra"]["parameters"][1]  # Prefer: nothing is waited for
    return described


def _described_change(summary: str, body: type | None, problem: int) -> dict[str, Any]:
    return guarded(describe_at_once(summary, Scope.PAYMENTS_WRITE, ScheduledTransferResource, body, 200, (problem,)))


def _described_read(summary: str, result: type) -> dict[str, Any]:
    described = describe(summary, Scope.PAYMENTS_READ, result)
    described["openapi_extra"]["parameters"] = []
    return described


@router.post(_PATH, **_described_order())
async def post_schedule(request: Request) -> Response:
    """Once, or recurring: paid when it is due, with the balance and the limits of that time. Names of parties are
    resolved now. The same key and body answer the schedule as it stands.
    """
    return await respond(request, order)


@router.get(_PATH, **_described_read("Schedules of an account, the latest first", SchedulePage))
async def get_schedules(request: Request, query: Annotated[ScheduleQuery, Query()]) -> Response:
    """Those that pay from it; ended ones too."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.PAYMENTS_READ, lambda who: _page(services, who, query)),
    )


@router.get(_ONE, **_described_read("One schedule", ScheduledTransferResource))
async def get_schedule(request: Request, schedule_id: str) -> Response:
    """Its rule, what it pays, and when it is due next. The `ETag` goes into `If-Match` of a change."""

    async def operation(services: Services, call: Call) -> Answer:
        async def look(who: Principal) -> ScheduledTransferResource:
            return shown(await _find(services, who, schedule_id))

        return tagged(await read(services, call, Scope.PAYMENTS_READ, look))

    return await respond(request, operation)


@router.patch(_ONE, **_described_change("Change, pause or resume a schedule", ScheduleChangeBody, 409))
async def patch_schedule(request: Request, schedule_id: str) -> Response:
    """For occurrences that are not due yet. What comes due while it is paused is left out for ever."""
    return await respond(request, lambda services, call: change(services, call, schedule_id))


@router.delete(_ONE, **_described_change("Cancel a schedule", None, 429))
async def delete_schedule(request: Request, schedule_id: str) -> Response:
    """Nothing more comes due, and nothing is tried again; what is under way is paid. The schedule stays to look at."""
    return await respond(request, lambda services, call: cancel(services, call, schedule_id))


@router.get(f"{_ONE}/occurrences", **_described_read("Occurrences of a schedule, the latest first", OccurrencePage))
async def get_occurrences(request: Request, schedule_id: str, query: Annotated[Page, Query()]) -> Response:
    """Every try, with its payment and what became of it."""
    return await respond(
        request,
        lambda services, call: read(
            services, call, Scope.PAYMENTS_READ, lambda who: _occurrences(services, who, schedule_id, query)
        ),
    )


@router.get(f"{_ONE}/preview", **_described_read("The next occurrences of a schedule", Preview))
async def get_preview(
    request: Request, schedule_id: str, count: Annotated[int, Query(ge=1, le=PREVIEW_MAX)] = 10
) -> Response:
    """With their instants, as the rules of the zone are known now."""
    return await respond(
        request,
        lambda services, call: read(
            services, call, Scope.PAYMENTS_READ, lambda who: _preview(services, who, schedule_id, count)
        ),
    )
