"""Quarantine over HTTP: list, look into, redrive, discard.

Reads and writes through cases and redrive, on two threads of their own with a connection per call: operators are few,
and a Postgres or Kafka that hangs must not take the threads of the paying callers.
"""

from asyncio import get_running_loop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Annotated, Any, Final, TypeVar

import psycopg
from fastapi import APIRouter, Query, Request, Response
from psycopg import Connection
from pydantic import BaseModel, Field

from ingest_api.http.bodies import decoded
from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import describe, problem_answer
from ingest_api.http.resources import encode
from ingest_api.http.serving import BODY_BYTES_MAX, JSON_MEDIA, admit, respond
from ingest_api.identity.tokens import Scope
from ingest_api.problems import Fault, FieldError, Problem, field_problem
from ingest_api.publisher import DeliveryUnknown
from ingest_api.quarantine import cases, redrive, shown
from ingest_api.quarantine.cases import CaseStatus
from ingest_api.quarantine.redrive import Outcome, Redriver
from ingest_api.quarantine.shown import DiscardBody, QuarantineCase, QuarantineCaseDetail, QuarantinePage, RedriveBody
from ingest_api.reads.database import DatabaseUnavailable
from ingest_api.services import Services
from payments.errors import Unavailable
from runtime.postgres import QUARANTINE
from runtime.settings import Settings
from schemas.origin import Origin

router = APIRouter(tags=["quarantine"])

PAGE_DEFAULT: Final = 50
_DESKS: Final = ThreadPoolExecutor(QUARANTINE, "quarantine")

T = TypeVar("T")


class CaseQuery(BaseModel, extra="forbid"):
    """Query of the list."""

    status: CaseStatus | None = None
    reason: str | None = Field(None, max_length=64, description="Code of the refusal")
    limit: int = Field(PAGE_DEFAULT, ge=1, le=cases.LIST_MAX)
    cursor: str | None = Field(None, max_length=300, description="next_cursor of the page before")


async def _at_a_desk(settings: Settings, work: Callable[[Connection], T]) -> T:
    """Run blocking work on a connection of its own. Raises DatabaseUnavailable."""

    def run() -> T:
        try:
            with closing(cases.open_desk(settings)) as connection:
                return work(connection)
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable) as error:
            raise DatabaseUnavailable(type(error).__name__) from error

    return await get_running_loop().run_in_executor(_DESKS, run)


async def list_quarantine(services: Services, call: Call, query: CaseQuery) -> Answer:
    """One page of cases."""
    services.tokens.principal(call.header(b"authorization"), Scope.QUARANTINE_READ)
    after = Origin.parse(query.cursor) if query.cursor is not None else None
    if query.cursor is not None and after is None:
        raise field_problem(
            FieldError("?cursor", Fault.CURSOR_INVALID, "Send next_cursor of the last page as it came.")
        )
    statuses = [query.status] if query.status is not None else []
    found = await _at_a_desk(
        services.settings,
        lambda connection: cases.list_cases(connection, statuses, query.reason, after, query.limit + 1),
    )
    return Answer(200, encode(shown.shown_page(found, query.limit)))


async def inspect_case(services: Services, call: Call, case_id: str) -> Answer:
    """One case with its bytes and what to do about it."""
    services.tokens.principal(call.header(b"authorization"), Scope.QUARANTINE_READ)
    origin = _origin(case_id)
    case = await _at_a_desk(services.settings, lambda connection: cases.find_case(connection, origin))
    if case is None:
        raise _unknown()
    return Answer(200, encode(shown.shown_in_full(case, services.settings.shards)))


async def redrive_case(services: Services, call: Call, case_id: str) -> Answer:
    """Send a case again, once; the case as it then stands."""
    principal = admit(services, call, Scope.QUARANTINE_WRITE, JSON_MEDIA, 1)
    body: RedriveBody = decoded(RedriveBody, await call.body(BODY_BYTES_MAX))
    origin = _origin(case_id)

    def work(connection: Connection) -> Outcome:
        try:
            redriver = Redriver.ready(services.settings, connection)
        except Unavailable as error:
            raise DeliveryUnknown(str(error)) from error
        return redriver.redrive(origin, principal.subject, force=body.force)

    return await _resolved(services, await _at_a_desk(services.settings, work))


async def discard_case(services: Services, call: Call, case_id: str) -> Answer:
    """Give a case up; the case as it then stands."""
    principal = admit(services, call, Scope.QUARANTINE_WRITE, JSON_MEDIA, 1)
    body: DiscardBody = decoded(DiscardBody, await call.body(BODY_BYTES_MAX))
    origin = _origin(case_id)
    outcome = await _at_a_desk(
        services.settings,
        lambda connection: redrive.discard(connection, origin, principal.subject, body.because),
    )
    return await _resolved(services, outcome)


async def _resolved(services: Services, outcome: Outcome) -> Answer:
    if outcome.refusal is not None:
        raise Problem(outcome.refusal, outcome.detail)
    case = await _at_a_desk(services.settings, lambda connection: cases.find_case(connection, outcome.origin))
    if case is None:
        raise _unknown()
    return Answer(200, encode(shown.shown(case)))


def _origin(case_id: str) -> Origin:
    """The id in a path. Raises Problem 404 for a text that names no case."""
    origin = Origin.parse(case_id)
    if origin is None:
        raise _unknown()
    return origin


def _unknown() -> Problem:
    return Problem(Fault.CASE_UNKNOWN, redrive.UNKNOWN)


def _describe_write(summary: str, body: type) -> dict[str, Any]:
    """A case is resolved once, whatever is repeated: these writes need no key and wait for nothing."""
    described = describe(summary, Scope.QUARANTINE_WRITE, QuarantineCase, body=body, statuses=(200,))
    described["openapi_extra"]["parameters"] = []
    described["responses"][409] = problem_answer(409)
    return described


@router.get("/quarantine", **describe("Cases in quarantine, newest first", Scope.QUARANTINE_READ, QuarantinePage))
async def get_quarantine(request: Request, query: Annotated[CaseQuery, Query()]) -> Response:
    """What could not be decided, with its reason and what became of it."""
    return await respond(request, lambda services, call: list_quarantine(services, call, query))


@router.get("/quarantine/{case_id}", **describe("One case", Scope.QUARANTINE_READ, QuarantineCaseDetail))
async def get_case(request: Request, case_id: str) -> Response:
    """Its bytes, decoded as far as possible, what is wrong with them and what to do."""
    return await respond(request, lambda services, call: inspect_case(services, call, case_id))


@router.post("/quarantine/{case_id}/redrive", **_describe_write("Send a case again, once", RedriveBody))
async def post_redrive(request: Request, case_id: str) -> Response:
    """Under the idempotency key that it always had: the money moves at most once, however often this is called."""
    return await respond(request, lambda services, call: redrive_case(services, call, case_id))


@router.post("/quarantine/{case_id}/discard", **_describe_write("Give a case up for a reason", DiscardBody))
async def post_discard(request: Request, case_id: str) -> Response:
    """Who, when and why are kept; nothing is deleted."""
    return await respond(request, lambda services, call: discard_case(services, call, case_id))
