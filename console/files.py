"""Files: what banks and providers sent, what became of it, and single lines as they stand in a file."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Response
from psycopg import Connection

from console.http.faults import not_found
from console.http.places import NO_NUL, id_of, place_of, place_text
from console.http.visits import Visitor
from console.pages import page
from reconciliation.store import files
from reconciliation.store.importing import FILE, FileStatus

router = APIRouter()

FILES_SHOWN: Final = 100
_STATUSES: Final = {status.name.lower(): status for status in FileStatus}
_LINE_DIGITS_MAX: Final = 18

StatusName = Literal["", "imported", "refused", "quarantined"]
Source = Annotated[str, Query(max_length=100, pattern=NO_NUL)]


@router.get("/files")
async def get_files(visit: Visitor, status: StatusName = "", source: Source = "", after: str = "") -> Response:
    """The newest first, and who sends them."""
    place = place_of(after, datetime) if after else None

    def read(connection: Connection) -> dict[str, Any]:
        found = files.page_of_files(
            *(connection, FILES_SHOWN + 1),
            status=_STATUSES.get(status),
            source=source,
            after=place,  # type: ignore[arg-type]
        )
        shown = found[:FILES_SHOWN]
        more = place_text(shown[-1].brought_at, shown[-1].file_id) if len(found) > FILES_SHOWN else ""
        chosen = {"status": status, "source": source}
        return {"files": shown, "sources": files.sources(connection), "chosen": chosen, "more": more}

    return await page(visit, "files.html", read)


@router.get("/files/{file_id}")
async def get_file(visit: Visitor, file_id: str) -> Response:
    """With the lines that can't be read, where it lies in quarantine for them."""
    id_ = id_of(FILE, file_id, "file")

    def read(connection: Connection) -> dict[str, Any]:
        found = files.find_file(connection, id_)
        if found is None:
            raise not_found("file")
        return {"file": found}

    return await page(visit, "file.html", read)


@router.get("/lines/{line_id}")
async def get_line(visit: Visitor, line_id: str) -> Response:
    """As it was sent, and as it was read."""

    def read(connection: Connection) -> dict[str, Any]:
        is_number = line_id.isdecimal() and line_id.isascii() and len(line_id) <= _LINE_DIGITS_MAX
        found = files.find_line(connection, int(line_id)) if is_number else None
        if found is None:
            raise not_found("line")
        return {"line": found}

    return await page(visit, "line.html", read)
