"""Pages of the audit log: keyset over time and id, each filter with an index."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from ingest_api.audit_log.shown import AuditPage, shown_entry
from ingest_api.reads.cursor import Cursor, encode_cursor

_ENTRIES: Final = """
SELECT entry.*, seal.position, seal.previous_hash, seal.hash
FROM audit_entries AS entry LEFT JOIN audit_seals AS seal USING (entry_id)"""
_CONDITIONS: Final = {
    "actor": "entry.actor = %(actor)s",
    "action": "entry.action = %(action)s",
    "object": "entry.object = %(object)s",
    "request_id": "entry.request_id = %(request_id)s",
    "from_": "entry.at >= %(from_)s",
    "to": "entry.at < %(to)s",
}
_AFTER: Final = "(entry.at, entry.entry_id) < (%(at)s, %(id)s)"
_ORDER: Final = "ORDER BY entry.at DESC, entry.entry_id DESC LIMIT %(rows)s"


class Filters(NamedTuple):
    """What is looked for; None is anything."""

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    request_id: str | None = None
    from_: datetime | None = None
    to: datetime | None = None


def page_query(filters: Filters, after: Cursor | None, limit: int) -> tuple[str, dict[str, Any]]:
    """The query of a page and of one row more, with its parameters."""
    given = {name: value for name, value in filters._asdict().items() if value is not None}
    conditions = [_CONDITIONS[name] for name in given]
    if after is not None:
        conditions.append(_AFTER)
        given |= {"at": after.decided_at, "id": after.payment_id}
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{_ENTRIES} {where} {_ORDER}", given | {"rows": limit + 1}


def page_of(rows: list[dict[str, Any]], limit: int) -> AuditPage:
    """The rows of `page_query` as a page."""
    more, shown = len(rows) > limit, rows[:limit]
    cursor = encode_cursor(Cursor(shown[-1]["at"], shown[-1]["entry_id"])) if more else None
    return AuditPage([shown_entry(row) for row in shown], more, cursor)
