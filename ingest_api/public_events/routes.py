"""Events over HTTP: pages in the order in which they were stored, and one by its id.

A reader that keeps `next_cursor` misses none: an event never appears in front of one that was shown.
"""

from typing import Annotated, Literal, cast

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe
from ingest_api.http.serving import read, respond
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.rights import Action, by_scope, user_of
from ingest_api.problems import Fault, Problem
from ingest_api.public_events import reads
from ingest_api.public_events.places import decode_place, encode_place
from ingest_api.public_events.shown import EventPage
from ingest_api.reads.accounts import known_account
from ingest_api.services import Services
from ingest_api.statements.moments import TimesQuery
from payments.events.event import EventType
from payments.identifiers import parse_id
from schemas.tables.webhooks import EVENT, EVENTS_KEPT, Payload

router = APIRouter(tags=["events"])

PAGE_DEFAULT = 100
PAGE_MAX = 500


class EventQuery(TimesQuery):
    """Query of the list, by when the events occurred."""

    type: EventType | None = Field(None, description="Such as payment.posted")
    object: str | None = Field(None, max_length=64, description="Id of what it happened to, such as pay_…")
    account: str | None = Field(None, description="An account that it concerns")
    order: Literal["oldest", "newest"] = Field("oldest", description="Which come first")
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


async def _page(services: Services, principal: Principal, query: EventQuery) -> EventPage:
    after = decode_place(query.cursor) if query.cursor is not None else None
    asked = reads.Asked(query.type, query.object, *query.between, after, query.limit + 1, query.order == "newest")
    rows = await reads.page(services.database, asked, await _accounts(services, principal, query.account))
    more, shown = len(rows) > query.limit, rows[: query.limit]
    last = shown[-1]["position"] if shown else after
    leads_on = last is not None and (more or not asked.newest_first)
    as_stored = cast("list[Payload]", [msgspec.Raw(row["payload"]) for row in shown])
    return EventPage(as_stored, more, encode_place(last) if leads_on and last is not None else None)


async def _accounts(services: Services, principal: Principal, account: str | None) -> list[bytes] | None:
    """Whose events the caller asks for; None: everybody's. Raises Problem, DatabaseUnavailable."""
    if account is not None:
        named = known_account(account)
        await services.access.require(principal, named, Action.VIEW)
        return [named]
    if by_scope(principal.scopes, Action.VIEW):
        return None
    user = user_of(principal)
    return [*await reads.held_accounts(services.database, user)] if user is not None else []


async def _one(services: Services, principal: Principal, event_id: str) -> msgspec.Raw:
    event = parse_id(EVENT, event_id)
    found = await reads.find(services.database, event) if event is not None else None
    if found is not None:
        payload, accounts = found
        if by_scope(principal.scopes, Action.VIEW) or await services.access.may_view_any(principal, accounts):
            return msgspec.Raw(payload)
    raise Problem(
        Fault.EVENT_UNKNOWN, f"Check the id: evt_ and 26 characters. Events are kept for {EVENTS_KEPT.days} days."
    )


@router.get("/events", **describe("What happened", Scope.PAYMENTS_READ, EventPage))
async def get_events(request: Request, query: Annotated[EventQuery, Query()]) -> Response:
    """Of the caller's accounts, or of all for who may look at all: 30 days, in the order in which they were stored."""
    return await respond(
        request,
        lambda services, call: read(services, call, Scope.PAYMENTS_READ, lambda who: _page(services, who, query)),
    )


@router.get("/events/{event_id}", **describe("One event", Scope.PAYMENTS_READ, Payload))
async def get_event(request: Request, event_id: str) -> Response:
    """As its webhook's body is."""

    async def operation(services: Services, call: Call) -> Answer:
        return await read(services, call, Scope.PAYMENTS_READ, lambda who: _one(services, who, event_id))

    return await respond(request, operation)
