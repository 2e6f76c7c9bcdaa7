"""Holds as Postgres shows them: one with its captures, or a page of those of an account."""

from typing import Final
from uuid import UUID

from ingest_api.holds.shown import Hold, HoldPage, shown_hold
from ingest_api.reads.database import Database
from ingest_api.reads.items import ItemQuery, item_page, page_query
from ingest_api.reads.payments import find_payment
from payments.entries import EntryKind
from payments.identifiers import HOLD, parse_id
from payments.items.details import OPEN_ITEMS, CauseKind
from payments.items.details import Hold as HoldItem

_ITEM_KIND: Final = OPEN_ITEMS.index(HoldItem)
HOLDS: Final = f"""
SELECT item.*, placed.description, step.authorised_minor, step.last_kind, step.last_reason
FROM holds AS item
LEFT JOIN decisions AS placed ON placed.payment_id = item.hold_id
CROSS JOIN LATERAL (
    SELECT sum(amount_minor) FILTER (WHERE kind IN ({EntryKind.HELD:d}, {EntryKind.HOLD_RAISED:d}))::bigint
            AS authorised_minor,
        (array_agg(kind ORDER BY ledger_sequence DESC, entry_index DESC))[1] AS last_kind,
        (array_agg(reason ORDER BY ledger_sequence DESC, entry_index DESC))[1] AS last_reason
    FROM item_events WHERE item_id = item.hold_id AND item_kind = {_ITEM_KIND}
) AS step
WHERE NOT item.is_review"""
_ONE: Final = f"{HOLDS} AND item.hold_id = %s"
_CAPTURES: Final = f"""
SELECT operation_id FROM causes WHERE cause_id = %s AND cause_kind = {CauseKind.CAPTURE:d}
AND kind = {EntryKind.CAPTURED:d} ORDER BY decided_at, operation_id"""
_PAGE: Final = page_query(HOLDS, "hold_id", ("payer", "payee"), "item.is_open AND item.expires_at > now()")


async def find_hold(database: Database, hold_id: bytes) -> Hold | None:
    """The hold, or None where Postgres has none. Raises DatabaseUnavailable."""
    row = await database.row(_ONE, (UUID(bytes=hold_id),))
    return shown_hold(row) if row is not None else None


async def add_captures(database: Database, hold: Hold) -> Hold:
    """The hold with the payments that came of it. Raises DatabaseUnavailable."""
    rows = await database.rows(_CAPTURES, (UUID(bytes=parse_id(HOLD, hold.id)),))
    found = [await find_payment(database, row["operation_id"].bytes) for row in rows]
    hold.captures = [payment for payment in found if payment is not None]
    return hold


async def list_holds(database: Database, account: bytes, asked: ItemQuery) -> HoldPage:
    """One page of what the account pays or is promised. Raises Problem, DatabaseUnavailable."""
    rows, next_cursor = await item_page(database, _PAGE, "hold_id", account, asked)
    return HoldPage([shown_hold(row) for row in rows], next_cursor is not None, next_cursor)
