"""The tables of open items, one per kind: each row is the newest statement of one item.

Reads the items that entries state whole, writes the last one of each in the batch. A shard states its items in ledger
order and no two shards state the same one, so the newest row is always the last one written.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Connection

from payments.entries import EntryKind
from payments.items.details import (
    OPEN_ITEMS,
    AttemptSettlement,
    Dispute,
    GivenBack,
    Hold,
    Journal,
    JournalLeg,
    OpenItem,
    PaymentOrder,
    Posting,
    ProviderRequest,
    Receivable,
    Review,
    Uncollected,
)
from payments.rejections import Reason
from schemas.codec.fields import REASONS
from sinks.details.rows import moment, time_of
from sinks.ledger_batch import DetailedEntry, LedgerBatch


class ItemColumn(NamedTuple):
    """A column, its type, and the field of the item that it shows."""

    name: str
    type: str
    field: str


class ItemTable(NamedTuple):
    """A table of open items; the first column is its key."""

    name: str
    columns: tuple[ItemColumn, ...]


_PLACE: Final = (
    ("opened_at", "timestamptz"),
    ("changed_at", "timestamptz"),
    ("shard", "smallint"),
    ("ledger_sequence", "bigint"),
    ("entry_index", "integer"),
)


def _table(name: str, *columns: str) -> ItemTable:
    """Columns as "name type", or as "name type field" where the field has another name."""
    parts = [column.split() for column in columns]
    return ItemTable(name, tuple(ItemColumn(part[0], part[1], part[-1] if part[2:] else part[0]) for part in parts))


ITEM_TABLES: Final[dict[type[OpenItem], ItemTable]] = {
    Hold: _table(
        "holds",
        "hold_id uuid item_id",
        "payer uuid owner",
        "payee uuid",
        "remaining_minor bigint amount_minor",
        "captured_minor bigint",
        "currency text",
        "expires_at timestamptz expires_at_us",
        "is_open boolean",
        "is_review boolean",
    ),
    Uncollected: _table(
        "uncollected_deposits",
        "deposit_id uuid item_id",
        "account_id uuid owner",
        "amount_minor bigint",
        "currency text",
        "is_open boolean",
        "refunding_minor bigint",
    ),
    GivenBack: _table(
        "given_back",
        "payment_id uuid item_id",
        "account_id uuid owner",
        "amount_minor bigint",
        "refunded_minor bigint",
        "disputed_minor bigint",
    ),
    Dispute: _table(
        "disputes",
        "dispute_id uuid item_id",
        "merchant uuid owner",
        "payment_id uuid",
        "customer uuid",
        "amount_minor bigint",
        "currency text",
        "is_provisional boolean",
        "is_open boolean",
        "uncollected_minor bigint",
    ),
    Receivable: _table(
        "receivables",
        "receivable_id uuid item_id",
        "account_id uuid owner",
        "amount_minor bigint",
        "currency text",
        "is_open boolean",
    ),
    JournalLeg: _table(
        "reserved_legs",
        "leg_id uuid item_id",
        "account_id uuid owner",
        "journal_id uuid",
        "amount_minor bigint",
        "currency text",
        "is_open boolean",
        "uncollected_minor bigint",
    ),
    Journal: _table(
        "journals",
        "journal_id uuid item_id",
        "account_id uuid owner",
        "legs jsonb",
        "awaited smallint",
        "refusal smallint",
        "is_open boolean",
    ),
    Review: _table(
        "reviews",
        "hold_id uuid item_id",
        "payer uuid owner",
        "legs jsonb",
        "approvals_needed smallint",
        "approved_by jsonb",
        "is_open boolean",
    ),
    PaymentOrder: _table(
        "payment_orders",
        "order_id uuid item_id",
        "checkout_id uuid owner",
        "payment_order_id text",
        "provider text",
        "buyer text",
        "seller uuid",
        "amount_minor bigint",
        "currency text",
        "is_on_delivery boolean",
        "status smallint",
        "reason smallint",
        "provider_reference text",
        "refunded_minor bigint",
    ),
    ProviderRequest: _table(
        "provider_requests",
        "request_id uuid item_id",
        "owner uuid",
        "provider text",
        "operation smallint",
        "order_id uuid",
        "amount_minor bigint",
        "currency text",
        "idempotency_key text",
        "attempt integer",
        "outcome text",
        "attempt_follows boolean",
        "decline text",
        "provider_reference text",
        "is_open boolean",
        "fee_minor bigint",
        "fee_currency text",
    ),
    AttemptSettlement: _table(
        "attempt_settlements",
        "request_id uuid item_id",
        "owner uuid",
        "is_succeeded boolean",
        "provider_reference text",
        "settled_by jsonb",
        "contradiction text",
        "is_open boolean",
    ),
}
"""Items that money rests on; rule sets and profiles are no concern of these tables. The token of a card is not shown:
nobody who reads them has to charge it."""


class _Stated(NamedTuple):
    """An item as its newest entry states it."""

    item: OpenItem
    opened_at: datetime
    by: DetailedEntry


def upsert_items(connection: Connection, batch: LedgerBatch) -> None:
    """The newest statement of every item of the batch."""
    newest: dict[tuple[type[OpenItem], bytes], _Stated] = {}
    for one, item in items_of(batch):  # of all kinds: what has no table is left out below
        key = type(item), item.item_id
        opened_at = newest[key].opened_at if key in newest else time_of(one.entry)
        newest[key] = _Stated(item, opened_at, one)
    for kind, table in ITEM_TABLES.items():
        rows = [_row(table, stated) for stated in newest.values() if type(stated.item) is kind]
        if rows:
            connection.execute(_upsert(table).encode(), [list(column) for column in zip(*rows, strict=True)])


def items_of(batch: LedgerBatch) -> Iterator[tuple[DetailedEntry, OpenItem]]:
    """Every item that an entry states, in ledger order."""
    for one in batch.detailed:
        for detail in one.entry.details:
            if isinstance(detail, OPEN_ITEMS):
                yield one, detail


def restored_by_captures(connection: Connection, batch: LedgerBatch) -> dict[int, int]:
    """By index in the batch: what a final capture gives back, which is what was left of its hold less the capture.

    To be asked before the items of the batch are written.
    """
    holds = [(one, item) for one, item in items_of(batch) if isinstance(item, Hold)]
    final = {one.at for one, hold in holds if one.entry.kind is EntryKind.CAPTURED and not hold.is_open}
    if not final:
        return {}
    remaining = _remaining_before(connection, {hold.item_id for one, hold in holds if one.at in final})
    restored = {}
    for one, hold in holds:
        if one.at in final:
            restored[one.at] = remaining.get(hold.item_id, 0) - one.entry.amount_minor
        remaining[hold.item_id] = hold.amount_minor
    return restored


def _remaining_before(connection: Connection, hold_ids: Iterable[bytes]) -> dict[bytes, int]:
    ids = [UUID(bytes=id_) for id_ in hold_ids]
    rows = connection.execute("SELECT hold_id, remaining_minor FROM holds WHERE hold_id = ANY(%s)", (ids,))
    return {hold_id.bytes: remaining_minor for hold_id, remaining_minor in rows}


def _row(table: ItemTable, stated: _Stated) -> Sequence[Any]:
    by = stated.by
    own = (_shown(column, getattr(stated.item, column.field)) for column in table.columns)
    return *own, stated.opened_at, time_of(by.entry), by.place.shard, by.place.sequence, by.entry_index


def _shown(column: ItemColumn, value: Any) -> Any:
    match value:
        case bytes():
            return UUID(bytes=value)
        case Reason():
            return REASONS.index(value)
        case Enum():
            return value.value
        case tuple():
            return json.dumps([_listed(one) for one in value])
        case _:
            return moment(value) if column.type == "timestamptz" else value


def _listed(one: Posting | bytes) -> Any:
    """A leg as [account, amount, currency], an id as its text."""
    if isinstance(one, bytes):
        return str(UUID(bytes=one))
    return str(UUID(bytes=one.account)), one.amount_minor, one.currency


def _upsert(table: ItemTable) -> str:
    columns = [(column.name, column.type) for column in table.columns] + list(_PLACE)
    names = [name for name, _ in columns]
    changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in names[1:] if name != "opened_at")
    arrays = ", ".join(f"%s::{type_}[]" for _, type_ in columns)
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays})"
        f" ON CONFLICT ({names[0]}) DO UPDATE SET {changed}"
    )
