"""From an operation to an answer: the one place where faults become problem documents, and the hot routes.

`HotRoutes` stands in front of FastAPI and serves the two money-moving POSTs without it (29 instead of 109 µs CPU per
call); FastAPI declares the same operations, so that OpenAPI shows them and they work without the short-circuit too.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from ingest_api.http.bodies import NoBody, decoded
from ingest_api.http.body_budget import BudgetSpent
from ingest_api.http.call import Answer, BodyTooLarge, Call, Disconnected, Receive, Send, send_answer
from ingest_api.http.resources import encode
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.problems import Fault, Problem, retry_later
from ingest_api.publisher import DeliveryUnknown, QueueFull
from ingest_api.reads.consistency import HEADER, await_visible
from ingest_api.reads.database import DatabaseUnavailable
from ingest_api.services import Services

logger = logging.getLogger(__name__)

Operation = Callable[[Services, Call], Awaitable[Answer]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]
_Found = TypeVar("_Found")

JSON_MEDIA = frozenset({"application/json"})
NDJSON_MEDIA = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
BODY_BYTES_MAX = 16_384
"""The longest sensible body of a single command is under 3 kB: 255 + 140 characters of four bytes, escaped."""


async def answered(services: Services, operation: Operation, call: Call) -> Answer:
    """Run an operation; whatever goes wrong becomes an answer."""
    try:
        return await operation(services, call)
    except Problem as problem:
        return problem.answer(call.path, call.request_id)
    except (BodyTooLarge, Disconnected, BudgetSpent, QueueFull, DeliveryUnknown, DatabaseUnavailable) as fault:
        return _problem_of(fault).answer(call.path, call.request_id)
    except Exception:
        logger.exception("request %s failed", call.request_id)
        return internal_error().answer(call.path, call.request_id)


def _problem_of(fault: Exception) -> Problem:
    if isinstance(fault, QueueFull | BudgetSpent):
        return retry_later(Fault.QUEUE_FULL, "Nothing was taken. Send it again after the time in Retry-After.", 1)
    if isinstance(fault, DeliveryUnknown):
        detail = "Kafka did not answer in time: it may or may not have been taken. Send it again with the same key."
        return retry_later(Fault.OUTCOME_UNKNOWN, detail, 2)
    if isinstance(fault, DatabaseUnavailable):
        return retry_later(Fault.DATABASE_UNAVAILABLE, "Reads are not possible now. Commands are still taken.", 2)
    if isinstance(fault, BodyTooLarge):
        detail = f"At most {fault.limit_bytes} bytes. Send a smaller body, or several requests."
        return Problem(Fault.BODY_TOO_LARGE, detail)
    return Problem(Fault.JSON_MALFORMED, "The connection ended inside the body.")


def internal_error() -> Problem:
    """500: tells the request id and nothing else."""
    return Problem(Fault.INTERNAL, "Send it again with the same key; name the request_id when you report it.")


def admit(services: Services, call: Call, scope: Scope | None, media: frozenset[str], commands: int) -> Principal:
    """The caller, once it may do this, has not sent too much, and sends what the operation reads. Raises Problem."""
    principal = services.tokens.principal(call.header(b"authorization"), scope)
    require_media(call, media)
    take_tokens(services, principal, commands)
    return principal


def require_media(call: Call, media: frozenset[str]) -> str:
    """The content type of the body, which is one of these. Raises Problem."""
    content_type = (call.header(b"content-type") or "").partition(";")[0].strip().lower()
    if content_type not in media:
        accepted = ", ".join(sorted(media))
        raise Problem(Fault.MEDIA_TYPE, f"Send Content-Type: {accepted}.", headers={"Accept": accepted})
    return content_type


async def admit_bare(services: Services, call: Call, scope: Scope) -> Principal:
    """The same for a write that is all said by its path. Raises Problem for a body that says more."""
    principal = services.tokens.principal(call.header(b"authorization"), scope)
    body = await call.body(BODY_BYTES_MAX)
    if not body:
        take_tokens(services, principal, 1)
        return principal
    principal = admit(services, call, scope, JSON_MEDIA, 1)
    decoded(NoBody, body)
    return principal


def take_tokens(services: Services, principal: Principal, commands: int) -> None:
    """Count this many commands against the client. Raises Problem 429."""
    retry_after_s = services.clients.retry_after_s(principal.subject, commands)
    if retry_after_s:
        detail = f"This client may send {services.settings.api_client_commands_per_s} commands a second."
        raise retry_later(Fault.RATE_LIMITED, detail, retry_after_s)


async def read(services: Services, call: Call, scope: Scope, query: Callable[[Principal], Awaitable[Any]]) -> Answer:
    """A read: who asks, then wait for what they have written, then look."""
    return Answer(200, encode(await seen(services, call, scope, query)))


async def seen(services: Services, call: Call, scope: Scope, query: Callable[[Principal], Awaitable[_Found]]) -> _Found:
    """What a read finds."""
    principal = services.tokens.principal(call.header(b"authorization"), scope)
    await await_visible(services.database, call.header(HEADER.lower().encode()))
    return await query(principal)


async def show(request: Request, scope: Scope, find: Callable[[Services, Principal], Awaitable[Any]]) -> Response:
    """A read as a FastAPI endpoint."""
    return await respond(
        request, lambda services, call: read(services, call, scope, lambda principal: find(services, principal))
    )


async def respond(request: Request, operation: Operation) -> Response:
    """An operation as a FastAPI endpoint."""
    call = Call.of(request.scope, request.receive)
    return as_response(await answered(request.app.state.services, operation, call), call.request_id)


def as_response(answer: Answer, request_id: str) -> Response:
    """The answer as a Starlette response, with the same headers as on the hot routes."""
    response = Response(answer.body, answer.status, media_type=answer.content_type.decode())
    response.raw_headers += [
        (b"x-request-id", request_id.encode("ascii")),
        *([] if any(name == b"cache-control" for name, _ in answer.headers) else [(b"cache-control", b"no-store")]),
        *answer.headers,
    ]
    return response


class HotRoutes:
    """The outermost ASGI application: POSTs to the hot paths are served here, everything else by FastAPI."""

    def __init__(self, app: Application, services: Services, operations: Mapping[str, Operation]) -> None:
        self._app = app
        self._services = services
        self._operations = operations

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        operation = self._operations.get(scope["path"]) if scope["type"] == "http" else None
        if operation is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        call = Call.of(scope, receive)
        await send_answer(send, await answered(self._services, operation, call), call.request_id)
