"""GET /reconciliation/sources, /files and /lines; POST /reconciliation/files: what banks and providers have sent."""

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from psycopg import Connection
from pydantic import BaseModel, Field

from ingest_api.http.call import Answer, Call
from ingest_api.http.openapi import request_body
from ingest_api.http.resources import encode
from ingest_api.http.serving import admit, respond, show
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.reads.database import NO_NUL
from ingest_api.reconciliation import cursors
from ingest_api.reconciliation.describing import described
from ingest_api.reconciliation.desk import at_the_desk, id_of, known
from ingest_api.reconciliation.shown import (
    ReconciliationFile,
    ReconciliationFilePage,
    ReconciliationLine,
    ReconciliationSources,
    shown_file,
    shown_line,
    shown_source,
)
from ingest_api.services import Services
from reconciliation.store import files
from reconciliation.store.importing import FILE, Brought, FileStatus, import_file

router = APIRouter(tags=["reconciliation"])

FILE_BYTES_MAX: Final = 16 << 20
"""Of a file over HTTP; `millrace recon import` takes gigabytes."""

OCTETS: Final = frozenset({"application/octet-stream"})
_STATUSES: Final = {status.name.lower(): status for status in FileStatus}


class FileQuery(BaseModel, extra="forbid"):
    """Query of the list."""

    source: str = Field("", max_length=100, pattern=NO_NUL)
    status: Literal["imported", "refused", "quarantined"] | None = None
    limit: int = Field(50, ge=1, le=500)
    cursor: str | None = Field(None, max_length=200, description="next_cursor of the page before")


class NewFileQuery(BaseModel, extra="forbid"):
    """Who sent the file, and what it is called."""

    source: str = Field("", max_length=100, pattern=NO_NUL, description="Needed: a bank's BIC, `stripe`")
    name: str = Field("", max_length=200, pattern=NO_NUL, description="Needed: the name of the file")


async def _page(services: Services, query: FileQuery) -> ReconciliationFilePage:
    at = cursors.decode(query.cursor, datetime) if query.cursor is not None else None
    after = (at[0], at[1]) if at is not None and isinstance(at[0], datetime) else None
    status = _STATUSES[query.status] if query.status else None

    def look(connection: Connection) -> list[files.StoredFile]:
        return files.page_of_files(connection, query.limit + 1, status=status, source=query.source, after=after)

    found = await at_the_desk(services.settings, look)
    more, shown = len(found) > query.limit, found[: query.limit]
    cursor = cursors.encode(shown[-1].brought_at, shown[-1].file_id) if more else None
    return ReconciliationFilePage([shown_file(one) for one in shown], more, cursor)


async def bring(services: Services, call: Call, query: NewFileQuery) -> Answer:
    """Take a file in: 201 where it was imported, 200 with its status where it was not."""
    principal = admit(services, call, Scope.RECONCILIATION_WRITE, OCTETS, 1)
    for field, text in (("?source", query.source), ("?name", query.name)):
        if not text.strip() or "/" in text or "\0" in text or text in {".", ".."}:
            raise field_problem(FieldError(field, Fault.FIELD_INVALID, "Say who sent the file, and its name."))
    content = await call.body(FILE_BYTES_MAX)

    def work(connection: Connection) -> files.StoredFile | None:
        with tempfile.TemporaryDirectory(prefix="millrace-file-") as folder:
            path = Path(folder) / query.name
            path.write_bytes(content)
            brought = import_file(connection, path, Brought(query.source, principal.subject))
            return files.find_file(connection, brought.file_id)

    found = known(await at_the_desk(services.settings, work, takes_long=True))
    await services.audit.record(
        principal.subject, "reconciliation.file", found.sha256, request_id=call.request_id, after={"name": found.name}
    )
    return Answer(201 if found.status == FileStatus.IMPORTED else 200, encode(shown_file(found)))


async def _line(services: Services, line_id: str) -> ReconciliationLine:
    number = int(line_id) if line_id.isdecimal() and len(line_id) < 19 else 0
    return shown_line(known(await at_the_desk(services.settings, lambda desk: files.find_line(desk, number))))


@router.get(
    "/reconciliation/sources",
    **described("Who sends files", Scope.RECONCILIATION_READ, ReconciliationSources),
)
async def get_sources(request: Request) -> Response:
    """Each with how many files and lines are here, and what lies in quarantine."""

    async def look(services: Services, _: Principal) -> ReconciliationSources:
        found = await at_the_desk(services.settings, files.sources)
        return ReconciliationSources([shown_source(one) for one in found])

    return await show(request, Scope.RECONCILIATION_READ, look)


@router.get("/reconciliation/files", **described("Files", Scope.RECONCILIATION_READ, ReconciliationFilePage))
async def get_files(request: Request, query: Annotated[FileQuery, Query()]) -> Response:
    """What was brought, newest first, and what became of it."""
    return await show(request, Scope.RECONCILIATION_READ, lambda services, _: _page(services, query))


_BRING = described("Bring a file", Scope.RECONCILIATION_WRITE, ReconciliationFile, bytes, 201)
_BRING["responses"][200] = _BRING["responses"][201] | {"description": "Not imported: refused, or in quarantine"}
_BRING["openapi_extra"]["requestBody"] = request_body(
    "application/octet-stream", {"type": "string", "format": "binary"}
)


@router.post("/reconciliation/files", **_BRING)
async def post_file(request: Request, query: Annotated[NewFileQuery, Query()]) -> Response:
    """The bytes as they came, at most 16 MiB. The same bytes again are refused; what can't be read lies in quarantine,
    whole.
    """
    return await respond(request, lambda services, call: bring(services, call, query))


@router.get("/reconciliation/files/{file_id}", **described("One file", Scope.RECONCILIATION_READ, ReconciliationFile))
async def get_file(request: Request, file_id: str) -> Response:
    """With the lines that can't be read, where it lies in quarantine for them."""

    async def look(services: Services, _: Principal) -> ReconciliationFile:
        id_ = id_of(FILE, file_id)
        return shown_file(known(await at_the_desk(services.settings, lambda desk: files.find_file(desk, id_))))

    return await show(request, Scope.RECONCILIATION_READ, look)


@router.get("/reconciliation/lines/{line_id}", **described("One line", Scope.RECONCILIATION_READ, ReconciliationLine))
async def get_line(request: Request, line_id: str) -> Response:
    """As it was sent, and as it was read."""
    return await show(request, Scope.RECONCILIATION_READ, lambda services, _: _line(services, line_id))
