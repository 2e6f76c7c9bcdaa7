"""A file → recon_files, its bytes, statements and lines, in one transaction.

Guarantees: a file is there whole or not at all; the same bytes are imported once; a line that another file of the same
source has told before is kept and does not count. A file that can't be read lies in quarantine with its bytes.

 1 look the bytes up: known ones are refused, with the import that has them
 2 parse; lines go to a table of this transaction, because a line's account is only known at its statement's end
 3 number equal lines, mark those that other files have told, move them over
 a refusal at 2 undoes 2 alone, and the file is written down as quarantined
"""

import secrets
import time
from collections.abc import Callable
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from psycopg import Connection, Copy

from payments.identifiers import uuid7
from reconciliation.statements.keys import natural_key
from reconciliation.statements.lines import BadLine, Line, Statement
from reconciliation.statements.parse import opened, read, reason_of
from reconciliation.statements.providers.profile import Profile
from reconciliation.statements.refusals import Refused
from reconciliation.store import contents

FILE: Final = "rfl"
"""Kind prefix of files' ids."""

LOCK_MS: Final = 600_000
"""Files of one source are taken one after the other; a gigabyte takes some minutes."""

_encode: Final = msgspec.json.Encoder(order="sorted").encode

_PENDING: Final = """
CREATE TEMPORARY TABLE recon_pending (
    number integer, ordinal integer, line_number bigint, element text, key bytea, amount_minor bigint, currency text,
    booked_on date, value_on date, type text, status text, reference_texts jsonb, description text, counterparty text,
    gross_minor bigint, fee_minor bigint, original_amount text
) ON COMMIT DROP"""
_IMPORTED: Final = "SELECT file_id FROM recon_files WHERE sha256 = %s AND status = 1"
_STATEMENT: Final = """
INSERT INTO recon_statements (file_id, number, source, account, currency, opening_minor, closing_minor, from_day,
    to_day, identification, control_totals, warnings) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_UNDATED: Final = """
SELECT pending.line_number, pending.element FROM recon_pending AS pending
JOIN recon_statements AS statement ON statement.file_id = %s AND statement.number = pending.number
WHERE coalesce(pending.booked_on, pending.value_on, statement.to_day) IS NULL ORDER BY ordinal LIMIT 1"""
_MOVE: Final = """
INSERT INTO recon_lines (file_id, statement_id, ordinal, line_number, element, fingerprint, repeat_of, amount_minor,
    currency, booked_on, value_on, type, status, reference_texts, description, counterparty, gross_minor, fee_minor,
    original_amount)
SELECT %(file)s, pending.statement_id, pending.ordinal, pending.line_number, pending.element, told.fingerprint,
    first.line_id, pending.amount_minor, pending.currency, coalesce(pending.booked_on, pending.value_on, to_day),
    pending.value_on, pending.type, pending.status, pending.reference_texts, pending.description, pending.counterparty,
    pending.gross_minor, pending.fee_minor, pending.original_amount
FROM (
    SELECT line.*, statement_id, account, to_day,
        row_number() OVER (PARTITION BY account, key ORDER BY line.ordinal) - 1 AS occurrence
    FROM recon_pending AS line
    JOIN recon_statements AS statement ON statement.file_id = %(file)s AND statement.number = line.number
) AS pending
CROSS JOIN LATERAL (
    SELECT sha256(convert_to(account || chr(31) || occurrence || chr(31), 'UTF8') || key) AS fingerprint
) AS told
LEFT JOIN recon_lines AS first ON first.fingerprint = told.fingerprint AND first.repeat_of IS NULL
ORDER BY pending.ordinal"""
_COUNTS: Final = "SELECT count(*), count(repeat_of) FROM recon_lines WHERE file_id = %s"
_FILE: Final = """
INSERT INTO recon_files (file_id, sha256, name, source, format, profile, bytes, status, reason, bad_lines, first_file,
    brought_by) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (sha256, status, reason) WHERE status <> 1
DO UPDATE SET times = recon_files.times + 1, last_brought_at = now() RETURNING file_id"""


class FileStatus(IntEnum):
    """The value is that of the table: append only."""

    IMPORTED = 1
    REFUSED = 2
    QUARANTINED = 3


class Brought(NamedTuple):
    """Who brings a file, and how it is to be read."""

    source: str
    by: str
    profile: Profile | None = None
    profile_name: str = ""


class Imported(NamedTuple):
    """What became of a file. `first_file`: the import that has the same bytes."""

    file_id: UUID
    sha256: bytes
    name: str
    format: str
    status: FileStatus
    reason: str = ""
    first_file: UUID | None = None
    lines: int = 0
    repeats: int = 0


class _Unread(Exception):
    """The file is refused as a whole; what was stored of it is undone."""

    def __init__(self, format_: str, reason: str, bad: list[BadLine]) -> None:
        super().__init__(reason)
        self.format, self.reason, self.bad = format_, reason, bad


def import_file(
    connection: Connection, path: Path, brought: Brought, advance: Callable[[int], None] = lambda _: None
) -> Imported:
    """`advance` is told each byte four times. Raises OSError, psycopg.Error; nothing is stored then."""
    known = contents.fingerprint(path, advance)
    with connection.transaction():
        connection.execute(f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {LOCK_MS}".encode())
        for name in (known.sha256.hex(), f"recon source {brought.source}"):
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))
        first = connection.execute(_IMPORTED, (known.sha256,)).fetchone()
        if first is not None:
            return _refused(connection, path, brought, known, first[0])
        try:
            with connection.transaction():
                found = _taken(connection, path, brought, known, advance)
        except _Unread as unread:
            found = _quarantined(connection, path, brought, known, unread)
        contents.keep(connection, path, known.sha256)
        return found


def _taken(
    connection: Connection,
    path: Path,
    brought: Brought,
    known: contents.Fingerprint,
    advance: Callable[[int], None],
) -> Imported:
    format_ = ""
    try:
        file = opened(path, brought.profile, advance)
        format_ = file.format
        id_ = _write(connection, path, brought, known, FileStatus.IMPORTED, format_)
        connection.execute(_PENDING.encode())
        statements: list[Statement] = []
        with connection.cursor().copy("COPY recon_pending FROM STDIN") as copy:
            bad = read(file, _Lines(copy, brought.source), statements.append)
    except Refused as refusal:
        raise _Unread(format_, str(refusal), []) from None
    if bad:
        raise _Unread(format_, reason_of(bad), bad)
    with connection.cursor() as cursor:
        cursor.executemany(_STATEMENT, [_statement_row(id_, brought.source, one) for one in statements])
    undated = connection.execute(_UNDATED, (id_,)).fetchone()
    if undated is not None:
        raise _Unread(format_, f"date: {undated[1] or f'line {undated[0]}'}: no day on which it was booked", [])
    connection.execute(_MOVE, {"file": id_})
    counts = connection.execute(_COUNTS, (id_,)).fetchone()
    assert counts is not None
    connection.execute("UPDATE recon_files SET lines = %s, repeats = %s WHERE file_id = %s", (*counts, id_))
    return Imported(id_, known.sha256, path.name, format_, FileStatus.IMPORTED, "", None, *counts)


class _Lines:
    """Lines on their way into the table of this transaction."""

    def __init__(self, copy: Copy, source: str) -> None:
        self._copy, self._source, self._ordinal = copy, source, 0

    def __call__(self, line: Line) -> None:
        self._copy.write_row(
            (
                line.statement,
                self._ordinal,
                line.position.line,
                line.position.element,
                bytes.fromhex(natural_key(self._source, "", line)),
                line.amount_minor,
                line.currency,
                line.booking_date,
                line.value_date,
                _text(line.type),
                _text(line.status),
                json_text(line.references),
                _text(line.description),
                _text(line.counterparty),
                line.gross_minor,
                line.fee_minor,
                _text(line.original_amount),
            )
        )
        self._ordinal += 1


def _statement_row(file_id: UUID, source: str, one: Statement) -> tuple[object, ...]:
    days = [date.fromisoformat(day) if day else None for day in (one.from_date, one.to_date)]
    return (
        *(file_id, one.number, source, _text(one.account), one.currency, one.opening_minor, one.closing_minor, *days),
        *(_text(one.identification), json_text(one.control_totals), json_text(one.warnings)),
    )


def _refused(
    connection: Connection, path: Path, brought: Brought, known: contents.Fingerprint, first: UUID
) -> Imported:
    reason = f"duplicate: the same bytes as {path.name} are imported"
    id_ = _write(connection, path, brought, known, FileStatus.REFUSED, "", "duplicate", first_file=first)
    return Imported(id_, known.sha256, path.name, "", FileStatus.REFUSED, reason, first)


def _quarantined(
    connection: Connection, path: Path, brought: Brought, known: contents.Fingerprint, unread: _Unread
) -> Imported:
    status = FileStatus.QUARANTINED
    id_ = _write(connection, path, brought, known, status, unread.format, unread.reason, bad=unread.bad)
    return Imported(id_, known.sha256, path.name, unread.format, status, unread.reason)


def _write(
    connection: Connection,
    path: Path,
    brought: Brought,
    known: contents.Fingerprint,
    status: FileStatus,
    format_: str,
    reason: str = "",
    **more: Any,
) -> UUID:
    id_ = UUID(bytes=uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10)))
    told = (id_, known.sha256, _text(path.name), brought.source, format_, brought.profile_name, known.size, status)
    values = (*told, _text(reason), json_text(more.get("bad", [])), more.get("first_file"), brought.by)
    row = connection.execute(_FILE, values).fetchone()
    assert row is not None  # RETURNING
    written: UUID = row[0]
    return written


def _text(text: str) -> str:
    """As Postgres takes it: everything but NUL."""
    return text.replace("\0", "\ufffd")


def json_text(value: object) -> str:
    """JSON of it, as Postgres takes it."""
    return _encode(value).decode().replace("\\u0000", "\ufffd")
