"""Quotes over HTTP. Transfers take them, and fee schedules, at POST /transfers."""

from fastapi import APIRouter, Request, Response

from ingest_api.fx import pricing
from ingest_api.fx.shown import FxQuote, QuoteBody
from ingest_api.http.openapi import describe
from ingest_api.http.serving import respond, show
from ingest_api.identity.tokens import Scope

router = APIRouter(tags=["fx"])

_DESCRIBED = describe(
    "Ask for a quote", Scope.PAYMENTS_WRITE, FxQuote, body=QuoteBody, statuses=(201,), key_needed=False
)
_DESCRIBED["openapi_extra"]["parameters"] = []  # nothing moves: asked again, it is another quote


@router.post("/fx/quotes", **_DESCRIBED)
async def post_quote(request: Request) -> Response:
    """By the rate of now, for one transfer of this amount. Name it there as `quote_id`, before it expires."""
    return await respond(request, pricing.quote)


@router.get("/fx/quotes/{quote_id}", **describe("One quote", Scope.PAYMENTS_READ, FxQuote))
async def get_quote(request: Request, quote_id: str) -> Response:
    """Of the caller's own: what is sold and bought, at which rate, until when, and whether it was used."""
    return await show(request, Scope.PAYMENTS_READ, lambda services, who: pricing.find_quote(services, who, quote_id))
