"""Disputes and receivables as Postgres shows them."""

from typing import Final
from uuid import UUID

from ingest_api.disputes.shown import (
    Dispute,
    DisputePage,
    Evidence,
    Receivable,
    ReceivablePage,
    shown_dispute,
    shown_receivable,
)
from ingest_api.http.resources import rfc3339
from ingest_api.reads.database import Database
from ingest_api.reads.items import ItemQuery, item_page, page_query
from payments.entries import EntryKind
from payments.identifiers import system_account
from payments.items.details import OPEN_ITEMS, CauseKind
from payments.items.details import Receivable as ReceivableItem
from payments.postings import SystemAccount

_ENDED: Final = "('won', 'lost')"
_PROVIDER_FEES: Final = " AND ".join(
    f"'{UUID(bytes=system_account(SystemAccount.PROVIDER_FEES, letters))}'" for letters in ("AAA", "ZZZ")
)
"""Of every currency: the code is in the id, the currency behind it."""

DISPUTES: Final = f"""
SELECT item.*, placed.description, coalesce(placed.amount_minor - item.amount_minor, 0) AS fee_minor,
    (SELECT -amount_minor FROM journal_legs
        WHERE journal_id = item.dispute_id AND account_id BETWEEN {_PROVIDER_FEES}) AS provider_fee_minor,
    ended.code AS outcome, ended.decided_at AS resolved_at, debt.amount_minor AS owed_minor, bought.payment_order_id
FROM disputes AS item
LEFT JOIN decisions AS placed ON placed.payment_id = item.dispute_id
LEFT JOIN receivables AS debt ON debt.receivable_id = item.dispute_id AND debt.is_open
LEFT JOIN payment_orders AS bought ON bought.order_id = item.payment_id
LEFT JOIN LATERAL (
    SELECT code, decided_at FROM causes
    WHERE cause_id = item.dispute_id AND cause_kind = {CauseKind.DISPUTE:d} AND code IN {_ENDED} LIMIT 1
) AS ended ON true
WHERE true"""
_DISPUTE: Final = f"{DISPUTES} AND item.dispute_id = %s"
_EVIDENCE: Final = f"""
SELECT code, decided_at FROM causes WHERE cause_id = %s AND cause_kind = {CauseKind.DISPUTE:d}
AND kind = {EntryKind.NOTED:d} AND code NOT IN {_ENDED} ORDER BY decided_at, shard, ledger_sequence, entry_index"""
_DISPUTE_PAGE: Final = page_query(DISPUTES, "dispute_id", ("merchant", "customer"))

RECEIVABLES: Final = f"""
SELECT item.*, (
    SELECT kind FROM item_events
    WHERE item_id = item.receivable_id AND item_kind = {OPEN_ITEMS.index(ReceivableItem)}
    ORDER BY shard DESC, ledger_sequence DESC, entry_index DESC LIMIT 1
) AS last_kind
FROM receivables AS item WHERE true"""
_RECEIVABLE: Final = f"{RECEIVABLES} AND item.receivable_id = %s"
_RECEIVABLE_PAGE: Final = page_query(RECEIVABLES, "receivable_id", ("account_id",))


async def find_dispute(database: Database, dispute_id: bytes) -> Dispute | None:
    """The dispute with its evidence, or None where Postgres has none. Raises DatabaseUnavailable."""
    named = (UUID(bytes=dispute_id),)
    row = await database.row(_DISPUTE, named)
    if row is None:
        return None
    handed_in = await database.rows(_EVIDENCE, named)
    return shown_dispute(row, [Evidence(one["code"], rfc3339(one["decided_at"])) for one in handed_in])


async def list_disputes(database: Database, account: bytes, asked: ItemQuery) -> DisputePage:
    """One page of those for or against the account. Raises Problem, DatabaseUnavailable."""
    rows, next_cursor = await item_page(database, _DISPUTE_PAGE, "dispute_id", account, asked)
    return DisputePage([shown_dispute(row) for row in rows], next_cursor is not None, next_cursor)


async def find_receivable(database: Database, receivable_id: bytes) -> Receivable | None:
    """The debt, or None where Postgres has none. Raises DatabaseUnavailable."""
    row = await database.row(_RECEIVABLE, (UUID(bytes=receivable_id),))
    return shown_receivable(row) if row is not None else None


async def list_receivables(database: Database, account: bytes, asked: ItemQuery) -> ReceivablePage:
    """One page of what the account owes or owed. Raises Problem, DatabaseUnavailable."""
    rows, next_cursor = await item_page(database, _RECEIVABLE_PAGE, "receivable_id", account, asked)
    return ReceivablePage([shown_receivable(row) for row in rows], next_cursor is not None, next_cursor)
