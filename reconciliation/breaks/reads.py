"""Breaks as they are listed and looked into. Reads alone; every page is one index, whatever is filtered."""

from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import set_json_loads

from reconciliation.breaks.machine import LIVE

LIST_MAX: Final = 10_000
"""Breaks of one page: as many as a console shows at once."""

_COLUMNS: Final = """break_id, rule_set, type, status, reason, keys, difference_minor, currency, day, due_on, internal,
    external, owner, after_sign_off, opened_at, changed_at"""
_EVENTS: Final = """
SELECT at, by, action, before, after, because, told FROM recon_break_events WHERE break_id = %s ORDER BY event"""
_PROPOSALS: Final = """
SELECT proposal_id, kind, reason_code, because, legs, proposed_by, proposed_at, decision, decided_by, decided_at,
    journal_id, outcome
FROM recon_proposals WHERE break_id = %s ORDER BY proposed_at, proposal_id"""
_WAITING: Final = """
SELECT break_id, proposal_id, kind, reason_code, because, legs, proposed_by, proposed_at, decision, decided_by,
    decided_at, journal_id, outcome
FROM recon_proposals WHERE decision = '' ORDER BY proposed_at, proposal_id LIMIT %s"""
_ATTACHMENTS: Final = """
SELECT attachment_id, name, media_type, encode(sha256, 'hex') AS sha256, octet_length(content) AS bytes, attached_by,
    attached_at
FROM recon_attachments WHERE break_id = %s ORDER BY attached_at, attachment_id"""
_OF_ACCOUNT: Final = """EXISTS (
    SELECT FROM recon_lines AS line JOIN recon_statements AS statement USING (statement_id)
    WHERE line.line_id = ANY(recon_breaks.external) AND statement.account = %(account)s)"""
_ORDERS: Final = {
    "value": ("value_minor DESC, break_id DESC", "(value_minor, break_id) < (%(at)s, %(after)s)"),
    "age": ("day, break_id", "(day, break_id) > (%(at)s, %(after)s)"),
}


class Break(NamedTuple):
    """A row of recon_breaks."""

    break_id: UUID
    rule_set: str
    type: str
    status: str
    reason: str
    keys: dict[str, str]
    difference_minor: int
    currency: str
    day: date
    due_on: date
    internal: list[str]
    external: list[int]
    owner: str
    after_sign_off: bool
    opened_at: datetime
    changed_at: datetime


class Event(NamedTuple):
    """One line of the trail."""

    at: datetime
    by: str
    action: str
    before: str
    after: str
    because: str
    told: dict[str, Any]


class Proposed(NamedTuple):
    """A proposal and what became of it."""

    proposal_id: UUID
    kind: str
    reason_code: str
    because: str
    legs: list[list[Any]]
    proposed_by: str
    proposed_at: datetime
    decision: str
    decided_by: str
    decided_at: datetime | None
    journal_id: UUID | None
    outcome: str


class Attachment(NamedTuple):
    """A document, without its content."""

    attachment_id: UUID
    name: str
    media_type: str
    sha256: str
    bytes: int
    attached_by: str
    attached_at: datetime


class Wanted(NamedTuple):
    """Which breaks. Without a status those that somebody has to deal with; `oldest` and `youngest`: their days;
    `account`: of the statement that a line of theirs stands in.
    """

    order: str = "value"
    rule_set: str = ""
    type: str = ""
    status: str = ""
    owner: str = ""
    currency: str = ""
    oldest: date | None = None
    youngest: date | None = None
    after_sign_off: bool = False
    account: str = ""


def page_query(wanted: Wanted, *, is_first: bool) -> str:
    """What is asked: each condition is there only where it is wanted, so that the plan is the same for all values."""
    order, after = _ORDERS[wanted.order]
    conditions = [] if wanted.status else ["is_live"]
    conditions += [
        f"{name} = %({name})s" for name in ("rule_set", "type", "owner", "currency") if getattr(wanted, name)
    ]
    if wanted.status:
        conditions.append(f"status = %(status)s{' AND is_live' if wanted.status in LIVE else ''}")
    if wanted.oldest is not None:
        conditions.append("day >= %(oldest)s")
    if wanted.youngest is not None:
        conditions.append("day <= %(youngest)s")
    if wanted.after_sign_off:
        conditions.append("after_sign_off")
    if wanted.account:
        conditions.append(_OF_ACCOUNT)
    if not is_first:
        conditions.append(after)
    return f"SELECT {_COLUMNS} FROM recon_breaks WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT %(rows)s"


def page_of_breaks(
    connection: Connection, wanted: Wanted, limit: int, after: tuple[int | date, UUID] | None = None
) -> list[Break]:
    """`after`: value or day of the last break of the page before, and its id."""
    at, id_ = after or (None, None)
    named = wanted._asdict() | {"at": at, "after": id_, "rows": limit}
    return _breaks(connection, page_query(wanted, is_first=after is None), named)


def find_break(connection: Connection, id_: UUID) -> Break | None:
    """One break, or None."""
    found = _breaks(connection, f"SELECT {_COLUMNS} FROM recon_breaks WHERE break_id = %(id)s", {"id": id_})
    return found[0] if found else None


def _breaks(connection: Connection, query: str, named: dict[str, object]) -> list[Break]:
    """Of 10,000 rows, 50 ms of CPU; as text, by the json module and with names for each row 130."""
    with connection.cursor(binary=True) as cursor:
        set_json_loads(msgspec.json.decode, cursor)
        return list(map(Break._make, cursor.execute(query.encode(), named)))


def events_of(connection: Connection, id_: UUID) -> list[Event]:
    """The trail of a break, from its beginning."""
    with connection.cursor(row_factory=class_row(Event)) as cursor:
        return cursor.execute(_EVENTS, (id_,)).fetchall()


def proposals_of(connection: Connection, id_: UUID) -> list[Proposed]:
    """What was proposed, from the first one."""
    with connection.cursor(row_factory=class_row(Proposed)) as cursor:
        return cursor.execute(_PROPOSALS, (id_,)).fetchall()


def waiting_proposals(connection: Connection, limit: int) -> list[tuple[UUID, Proposed]]:
    """What waits for a second person, the oldest first, with its break."""
    return [(row[0], Proposed(*row[1:])) for row in connection.execute(_WAITING, (limit,))]


def attachments_of(connection: Connection, id_: UUID) -> list[Attachment]:
    """What is attached."""
    with connection.cursor(row_factory=class_row(Attachment)) as cursor:
        return cursor.execute(_ATTACHMENTS, (id_,)).fetchall()


def content_of(connection: Connection, id_: UUID, attachment_id: UUID) -> tuple[str, str, bytes] | None:
    """Name, media type and bytes of what is attached to this break."""
    query = "SELECT name, media_type, content FROM recon_attachments WHERE break_id = %s AND attachment_id = %s"
    row = connection.execute(query, (id_, attachment_id)).fetchone()
    return None if row is None else (row[0], row[1], bytes(row[2]))
