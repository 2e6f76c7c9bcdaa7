"""What was brought: files and sources as they are listed. Reads alone."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from reconciliation.store import contents
from reconciliation.store.importing import FileStatus

_FILES: Final = """
SELECT file_id, encode(sha256, 'hex') AS sha256, name, source, format, profile, bytes, status, reason, bad_lines,
    first_file, lines, repeats, brought_by, brought_at, times, last_brought_at
FROM recon_files"""
_PAGE: Final = f"""{_FILES}
WHERE (%(status)s::smallint IS NULL OR status = %(status)s) AND (%(source)s = '' OR source = %(source)s)
    AND (%(at)s::timestamptz IS NULL OR (brought_at, file_id) < (%(at)s, %(after)s))
ORDER BY brought_at DESC, file_id DESC LIMIT %(rows)s"""
_SOURCES: Final = """
SELECT source, count(*) FILTER (WHERE status = 1) AS files, count(*) FILTER (WHERE status = 3) AS quarantined,
    coalesce(sum(lines), 0)::bigint AS lines, max(brought_at) FILTER (WHERE status = 1) AS newest_at
FROM recon_files GROUP BY source ORDER BY source"""
_LINE: Final = """
SELECT line_id, line.file_id, file.name AS file, encode(file.sha256, 'hex') AS sha256, line_number, element,
    statement.account, amount_minor, line.currency, booked_on::text, reference_texts, description, type,
    line.status, repeat_of, ''::text AS raw
FROM recon_lines AS line
JOIN recon_files AS file USING (file_id) JOIN recon_statements AS statement USING (statement_id)
WHERE line_id = %s"""


class StoredFile(NamedTuple):
    """A row of recon_files. `bad_lines`: position and reason of each, where it was quarantined for them."""

    file_id: UUID
    sha256: str
    name: str
    source: str
    format: str
    profile: str
    bytes: int
    status: int
    reason: str
    bad_lines: list[dict[str, object]]
    first_file: UUID | None
    lines: int
    repeats: int
    brought_by: str
    brought_at: datetime
    times: int
    last_brought_at: datetime


class Source(NamedTuple):
    """Who sends files, and how much of it is here."""

    source: str
    files: int
    quarantined: int
    lines: int
    newest_at: datetime | None


class StoredLine(NamedTuple):
    """One line, and how it was written in its file."""

    line_id: int
    file_id: UUID
    file: str
    sha256: str
    line_number: int
    element: str
    account: str
    amount_minor: int
    currency: str
    booked_on: str
    references: dict[str, str]
    description: str
    type: str
    status: str
    repeat_of: int | None
    raw: str
    """The line of the file; empty where the format has no lines."""


def page_of_files(
    connection: Connection,
    limit: int,
    *,
    status: FileStatus | None = None,
    source: str = "",
    after: tuple[datetime, UUID] | None = None,
) -> list[StoredFile]:
    """The newest first, `after` the last one of the page before."""
    at, id_ = after or (None, None)
    named = {"status": status, "source": source, "at": at, "after": id_, "rows": limit}
    with connection.cursor(row_factory=class_row(StoredFile)) as cursor:
        return cursor.execute(_PAGE, named).fetchall()


def find_file(connection: Connection, file_id: UUID) -> StoredFile | None:
    """One file, or None."""
    with connection.cursor(row_factory=class_row(StoredFile)) as cursor:
        return cursor.execute(f"{_FILES} WHERE file_id = %s".encode(), (file_id,)).fetchone()


def sources(connection: Connection) -> list[Source]:
    """Every source that has sent a file."""
    with connection.cursor(row_factory=class_row(Source)) as cursor:
        return cursor.execute(_SOURCES).fetchall()


def find_line(connection: Connection, line_id: int) -> StoredLine | None:
    """One line with its text in the file, or None."""
    row = connection.execute(_LINE, (line_id,)).fetchone()
    if row is None:
        return None
    line = StoredLine(*row)
    raw = contents.raw_line(connection, bytes.fromhex(line.sha256), line.line_number) if line.line_number else b""
    return line._replace(raw=raw.decode("utf-8", errors="replace"))
