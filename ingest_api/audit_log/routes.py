"""GET /audit and GET /audit/verify: for who looks into who did what."""

import asyncio
import contextlib
from typing import Annotated, Final

import psycopg
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.audit_log.heads import Heads
from ingest_api.audit_log.reads import Filters
from ingest_api.audit_log.shown import AuditPage, AuditVerification
from ingest_api.audit_log.store import Head
from ingest_api.audit_log.verifying import verify
from ingest_api.http.openapi import describe
from ingest_api.http.serving import read, respond
from ingest_api.identity.tokens import Scope
from ingest_api.reads.cursor import decode_cursor
from ingest_api.reads.database import NO_NUL, DatabaseUnavailable
from ingest_api.services import Services
from ingest_api.statements.moments import TimesQuery
from runtime.postgres import connect
from runtime.settings import Settings

router = APIRouter(tags=["audit"])

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 500
VERIFIED_MAX: Final = 20_000
"""Entries of one call: about half a second of one core."""

_TEXT_CHARS: Final = 256
_CONNECT_S: Final = 2
_one_at_a_time = asyncio.Semaphore(1)


class AuditQuery(TimesQuery):
    """Query of the audit log."""

    actor: str | None = Field(None, min_length=1, max_length=_TEXT_CHARS, pattern=NO_NUL, description="Who did it")
    action: str | None = Field(
        None, min_length=1, max_length=_TEXT_CHARS, pattern=NO_NUL, description="What was done, in full"
    )
    object: str | None = Field(
        None, min_length=1, max_length=_TEXT_CHARS, pattern=NO_NUL, description="The id of what it was done to"
    )
    request_id: str | None = Field(None, min_length=1, max_length=_TEXT_CHARS, pattern=NO_NUL)
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


class VerifyQuery(BaseModel, extra="forbid"):
    """Query of a verification."""

    after: int = Field(0, ge=0, lt=2**62, description="next_after of the call before: its last hash is taken as it is")
    limit: int = Field(VERIFIED_MAX, ge=1, le=VERIFIED_MAX)


async def _page(services: Services, query: AuditQuery) -> AuditPage:
    after = decode_cursor(query.cursor) if query.cursor is not None else None
    filters = Filters(query.actor, query.action, query.object, query.request_id, *query.between)
    return await services.audit.page(filters, after, query.limit)


async def _verified(services: Services, query: VerifyQuery) -> AuditVerification:
    async with _one_at_a_time:
        return await asyncio.to_thread(_verified_beside, services.settings, query)


def _verified_beside(settings: Settings, query: VerifyQuery) -> AuditVerification:
    """In a thread, with a connection of its own. Raises DatabaseUnavailable."""
    heads = Heads(settings.home)
    try:
        with contextlib.closing(connect(settings.database_url, "millrace audit", _CONNECT_S)) as connection:
            found = verify(connection, heads, after=query.after, limit=query.limit)
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable, TimeoutError) as error:
        raise DatabaseUnavailable(type(error).__name__) from error
    more = found.verified == query.limit
    head = heads.signed(Head(found.head_position, bytes.fromhex(found.head_hash))) if found.ok else None
    return AuditVerification(found, head, more, found.head_position if more else None)


@router.get("/audit", **describe("Who did what", Scope.AUDIT_READ, AuditPage))
async def get_audit(request: Request, query: Annotated[AuditQuery, Query()]) -> Response:
    """The latest first: every state-changing call, and every change that matters for security."""
    return await respond(
        request, lambda services, call: read(services, call, Scope.AUDIT_READ, lambda _: _page(services, query))
    )


@router.get("/audit/verify", **describe("Is the audit log what was written", Scope.AUDIT_READ, AuditVerification))
async def get_verification(request: Request, query: Annotated[VerifyQuery, Query()]) -> Response:
    """Every hash of the chain again, and its end against the published head. Keep `head`: a later verification with it
    (`millrace audit log --verify --head FILE`) finds what was cut off since.
    """
    return await respond(
        request, lambda services, call: read(services, call, Scope.AUDIT_READ, lambda _: _verified(services, query))
    )
