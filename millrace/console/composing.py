"""Console + API → one application. The console's commands go through the API as those of any client do, but without a
socket: the same doors, limits, scopes, problems and audit log.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import httpx
from psycopg import Connection

from console.app import make_console
from console.installation import Answered, Asked, Caller, Installation, Unavailable
from ingest_api.http.serving import Application
from ingest_api.identity.tokens import Scope
from ingest_api.problems import Problem
from ingest_api.reads.database import DatabaseUnavailable
from ingest_api.reconciliation.desk import at_the_desk
from ingest_api.services import Services

T = TypeVar("T")

SCOPES: Final = (
    Scope.RECONCILIATION_READ,
    Scope.RECONCILIATION_WRITE,
    Scope.RECONCILIATION_APPROVE,
    Scope.USERS_READ,
    Scope.USERS_WRITE,
)
"""All that a session of the console may have, whatever its user may do; the last two to step up and to sign out."""

_HOST: Final = "console"


def console_of(services: Services, api: Application) -> Application:
    """The pages in front of this API."""
    return make_console(
        Installation(_through(api), _known_by(services), _Reading(services), " ".join(SCOPES)),
    )


def _through(api: Application) -> Callable[[Asked], Awaitable[Answered]]:
    async def call(asked: Asked) -> Answered:
        headers = {"host": _HOST}
        headers |= {"authorization": f"Bearer {asked.token}"} if asked.token else {}
        headers |= {"x-request-id": asked.request_id} if asked.request_id else {}
        content = {"data": asked.body} if asked.is_form else {"json": asked.body} if asked.body is not None else {}
        request = httpx.Request(asked.method, f"http://{_HOST}/v1{asked.path}", headers=headers, **content)
        transport = httpx.ASGITransport(api, client=(asked.address, 0))
        response = await transport.handle_async_request(request)
        body = await response.aread()
        return Answered(response.status_code, body, response.headers.get("content-type", ""))

    return call


def _known_by(services: Services) -> Callable[[str], Caller | None]:
    def who(token: str) -> Caller | None:
        try:
            principal = services.tokens.principal(f"Bearer {token}", None)
        except Problem:
            return None
        has = principal.scopes
        return Caller(
            principal.subject,
            may_read=Scope.RECONCILIATION_READ in has,
            may_write=Scope.RECONCILIATION_WRITE in has,
            may_approve=Scope.RECONCILIATION_APPROVE in has,
            approves_with_code=Scope.RECONCILIATION_APPROVE in principal.withheld,
            left_s=principal.expires_at_s - time.time(),
        )

    return who


class _Reading:
    """Pages wait for Postgres and are written beside the loop, as other work of reconciliation is."""

    def __init__(self, services: Services) -> None:
        self._settings = services.settings

    async def __call__(self, work: Callable[[Connection], T], /) -> T:
        try:
            return await at_the_desk(self._settings, work)
        except DatabaseUnavailable as error:
            raise Unavailable(str(error)) from error
