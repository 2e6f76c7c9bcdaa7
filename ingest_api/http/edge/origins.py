"""Web pages on other hosts: the origins that the settings name may call and read; by default there are none (CORS).

No answer allows credentials: a page shows a token that it was given, never what a browser adds by itself.
"""

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from ingest_api.http.call import Call, Receive
from ingest_api.http.serving import Application, as_response
from ingest_api.problems import Fault, Problem

_MAY_SEND: Final = (
    "authorization",
    "consistency-token",
    "content-type",
    "idempotency-key",
    "if-match",
    "prefer",
    "traceparent",
    "x-request-id",
)
_MAY_READ: Final = (
    "consistency-token",
    "etag",
    "idempotency-replayed",
    "location",
    "preference-applied",
    "retry-after",
    "www-authenticate",
    "x-request-id",
)
_ASKED_AGAIN_S: Final = 600


class OtherOrigins(CORSMiddleware):
    """Starlette's, with a problem document for a preflight that is refused."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        call = Call("", dict(request_headers.raw), _nothing)
        problem = Problem(Fault.ORIGIN_REFUSED, "This origin, method or header is not among those that pages may use.")
        return as_response(problem.answer("", call.request_id), call.request_id)


def with_origins(app: Application, origins: tuple[str, ...]) -> Application:
    """The application as pages of these origins see it."""
    if not origins:
        return app
    return OtherOrigins(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=_MAY_SEND,
        expose_headers=_MAY_READ,
        max_age=_ASKED_AGAIN_S,
    )


async def _nothing() -> Receive:
    raise AssertionError("no body is read here")
