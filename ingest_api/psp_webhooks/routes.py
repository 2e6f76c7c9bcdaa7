"""POST /v1/psp/{psp}/webhooks: a provider tells that something happened there.

Kept once by the provider's event id, and answered when it is kept; a provider sends again what is not answered. Nothing
is decided by a body: a connector that has the request open asks the provider itself (connectors/hints).
"""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import problem_answer, reference_to, request_body
from ingest_api.http.resources import encode
from ingest_api.http.serving import respond
from ingest_api.psp_webhooks.shown import PspEventReceipt
from ingest_api.services import Services

router = APIRouter(tags=["payment providers"])

EVENT_BYTES_MAX: Final = 512 * 1024
"""The largest of Stripe's objects with its lists expanded are below 100 kB."""

_ANSWER: Final = {"application/json": {"schema": reference_to(PspEventReceipt)}}
_DESCRIBED: Final[dict[str, Any]] = {
    "summary": "An event of a payment provider",
    "response_model": None,
    "responses": {200: {"description": "Kept, now or before", "content": _ANSWER}}
    | {status: problem_answer(status) for status in (400, 404, 413, 422, 500, 503)},
    "openapi_extra": {
        "parameters": [
            {
                "name": "Stripe-Signature",
                "in": "header",
                "schema": {"type": "string"},
                "description": "t=…,v1=… with one of the secrets in MILLRACE_STRIPE_WEBHOOK_SECRET_FILE",
            }
        ],
        "security": [],
        "requestBody": request_body("application/json", {"type": "object"}),
    },
}


async def receive(services: Services, call: Call, psp: str) -> Answer:
    """Keep a provider's event."""
    body = await call.body(EVENT_BYTES_MAX)
    event = services.psp_inbox.checked(psp, body, call.header(b"stripe-signature") or "")
    kept = await services.psp_inbox.keep(psp, event)
    return Answer(200, encode(PspEventReceipt(event.id, replayed=not kept)))


@router.post("/psp/{psp}/webhooks", **_DESCRIBED)
async def post_psp_event(request: Request, psp: str) -> Response:
    """Signed by the provider, at most five minutes ago. It makes an open request due for an inquiry, and no more."""
    return await respond(request, lambda services, call: receive(services, call, psp))
