"""Holds over HTTP: place, look at, raise, capture, void."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from ingest_api.holds import reads, steps
from ingest_api.holds.shown import CaptureBody, Hold, HoldBody, HoldPage, IncrementBody
from ingest_api.http.openapi import describe, describe_later, describe_step
from ingest_api.http.resources import Payment
from ingest_api.http.serving import respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.rights import Action
from ingest_api.reads.accounts import known_account
from ingest_api.reads.items import ItemQuery
from ingest_api.services import Services

router = APIRouter(tags=["holds"])


async def _one(services: Services, principal: Principal, hold_id: str) -> Hold:
    return await reads.add_captures(services.database, await steps.known_hold(services, principal, hold_id))


async def _page(services: Services, principal: Principal, query: ItemQuery) -> HoldPage:
    account = known_account(query.account)
    await services.access.require(principal, account, Action.VIEW)
    return await reads.list_holds(services.database, account, query)


@router.post("/holds", **describe("Set an amount aside", Scope.PAYMENTS_WRITE, Hold, body=HoldBody))
async def post_hold(request: Request) -> Response:
    """For one payee, until it is captured, voided or expired: it leaves what is available, and nothing is posted.
    Limits and rules have a say; what would need a review is refused.
    """
    return await respond(request, steps.place)


@router.get("/holds", **describe("Holds of an account, newest first", Scope.PAYMENTS_READ, HoldPage))
async def get_holds(request: Request, query: Annotated[ItemQuery, Query()]) -> Response:
    """What it pays, and what it is promised; open ones or ended ones on request."""
    return await show(request, Scope.PAYMENTS_READ, lambda services, who: _page(services, who, query))


@router.get("/holds/{hold_id}", **describe("One hold", Scope.PAYMENTS_READ, Hold))
async def get_hold(request: Request, hold_id: str) -> Response:
    """What is left of it, when it expires, and the payments that came of it."""
    return await show(request, Scope.PAYMENTS_READ, lambda services, who: _one(services, who, hold_id))


@router.post("/holds/{hold_id}/capture", **describe_later("Capture a hold", Scope.PAYMENTS_WRITE, Payment, CaptureBody))
async def post_capture(request: Request, hold_id: str) -> Response:
    """By its payee: part of it, repeatedly, or all; never beyond what it has left, however many ask at once. Each is a
    payment of its own. The `final` one gives back what it leaves.
    """
    return await respond(request, lambda services, call: steps.capture(services, call, hold_id))


@router.post("/holds/{hold_id}/increment", **describe_step("Raise a hold", Scope.PAYMENTS_WRITE, Hold, IncrementBody))
async def post_increment(request: Request, hold_id: str) -> Response:
    """By its payer, while it is open; it still expires when it would have. Limits and rules have a say, as on one
    payment of the whole amount.
    """
    return await respond(request, lambda services, call: steps.increase(services, call, hold_id))


@router.post("/holds/{hold_id}/void", **describe_step("Void a hold", Scope.PAYMENTS_WRITE, Hold))
async def post_void(request: Request, hold_id: str) -> Response:
    """By its payee: what is left of it is available to the payer again."""
    return await respond(request, lambda services, call: steps.void(services, call, hold_id))
