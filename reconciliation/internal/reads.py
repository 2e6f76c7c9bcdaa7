"""Findings as they are listed and looked into, and what was asked for because of them. Reads alone."""

from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

from reconciliation.runs.rules import INTERNAL

LIST_MAX: Final = 1_000
"""Findings of one page."""

_FINDING: Final = """
SELECT break_id, subject_id, type, status, severity, repair, reason, keys AS evidence, difference_minor, currency, day,
    finding.legs, attempt, ledger_shard, ledger_offset, entry_index, opened_at, changed_at, seen_run
FROM recon_findings AS finding JOIN recon_breaks USING (break_id)"""
_PAGE: Final = f"""{_FINDING}
WHERE is_live AND rule_set = '{INTERNAL}' AND %(type)s IN ('', type) AND %(severity)s IN ('', severity)
    AND %(repair)s IN ('', repair) AND (%(after)s::uuid IS NULL OR (value_minor, break_id) < (%(at)s, %(after)s))
ORDER BY value_minor DESC, break_id DESC LIMIT %(rows)s"""
_INQUIRIES: Final = """
SELECT attempt, asked_by, asked_at, sent_at, refusal FROM recon_inquiries WHERE break_id = %s ORDER BY attempt"""


class StoredFinding(NamedTuple):
    """A finding of the newest run that saw it, with its break."""

    break_id: UUID
    subject_id: UUID
    type: str
    status: str
    severity: str
    repair: str
    reason: str
    evidence: dict[str, str]
    difference_minor: int
    currency: str
    day: date
    legs: list[list[Any]]
    attempt: int
    ledger_shard: int | None
    ledger_offset: int | None
    entry_index: int | None
    opened_at: datetime
    changed_at: datetime
    seen_run: UUID

    @property
    def asked_in(self) -> tuple[int | None, int | None, int | None]:
        """Where the ledger asked the provider: shard, offset, entry."""
        return self.ledger_shard, self.ledger_offset, self.entry_index


class Inquiry(NamedTuple):
    """An attempt that was asked for, and when the connectors sent it, or why they could not."""

    attempt: int
    asked_by: str
    asked_at: datetime
    sent_at: datetime | None
    refusal: str


class Wanted(NamedTuple):
    """Which findings; an empty text is any."""

    type: str = ""
    severity: str = ""
    repair: str = ""


def page_of_findings(
    connection: Connection, wanted: Wanted, limit: int, after: tuple[int, UUID] | None = None
) -> list[StoredFinding]:
    """Those that somebody has to deal with, the largest first. `after`: value and id of the last of the page before."""
    at, id_ = after or (None, None)
    with connection.cursor(row_factory=class_row(StoredFinding)) as cursor:
        return cursor.execute(_PAGE, wanted._asdict() | {"at": at, "after": id_, "rows": limit}).fetchall()


def find_finding(connection: Connection, id_: UUID, *, is_locked: bool = False) -> StoredFinding | None:
    """One of them, whatever has become of it; locked, nobody else deals with it until the transaction ends."""
    query = f"{_FINDING} WHERE break_id = %s{' FOR UPDATE' if is_locked else ''}"
    with connection.cursor(row_factory=class_row(StoredFinding)) as cursor:
        return cursor.execute(query.encode(), (id_,)).fetchone()


def inquiries_of(connection: Connection, id_: UUID) -> list[Inquiry]:
    """What was asked for because of it, from the first one."""
    with connection.cursor(row_factory=class_row(Inquiry)) as cursor:
        return cursor.execute(_INQUIRIES, (id_,)).fetchall()
