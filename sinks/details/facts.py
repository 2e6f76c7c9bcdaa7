"""The tables causes and item_events: what each entry follows from, and which open items it changed. Written once."""

from typing import Any, Final
from uuid import UUID

from psycopg import Connection

from payments.items.details import OPEN_ITEMS, Cause
from schemas.codec.fields import REASONS
from sinks.details.items import ITEM_TABLES
from sinks.details.rows import send_rows, time_of
from sinks.ledger_batch import DetailedEntry, LedgerBatch

_CAUSES: Final = (
    "COPY causes (shard, ledger_sequence, entry_index, operation_id, kind, cause_kind, cause_id, code, decided_at)"
    " FROM STDIN"
)
_ITEM_EVENTS: Final = (
    "COPY item_events (shard, ledger_sequence, entry_index, ledger_offset, item_kind, item_id, owner, operation_id,"
    " kind, reason, amount_minor, decided_at) FROM STDIN"
)


def copy_details(connection: Connection, batch: LedgerBatch) -> None:
    """Every cause and every change of an open item in the batch."""
    causes: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    for one in batch.detailed:
        for detail in one.entry.details:
            if isinstance(detail, Cause):
                causes.append(_cause_row(one, detail))
            elif isinstance(detail, OPEN_ITEMS) and type(detail) in ITEM_TABLES:
                events.append(_event_row(one, OPEN_ITEMS.index(type(detail)), detail.item_id, detail.owner))
    send_rows(connection, _CAUSES, causes)
    send_rows(connection, _ITEM_EVENTS, events)


def _cause_row(one: DetailedEntry, cause: Cause) -> tuple[Any, ...]:
    entry, cause_id = one.entry, UUID(bytes=cause.cause_id)
    operation, at = UUID(bytes=entry.operation_id), time_of(entry)
    return *_place(one), operation, int(entry.kind), int(cause.kind), cause_id, cause.code, at


def _event_row(one: DetailedEntry, item_kind: int, item_id: bytes, owner: bytes) -> tuple[Any, ...]:
    entry = one.entry
    ids = (UUID(bytes=id_) for id_ in (item_id, owner, entry.operation_id))
    reason = REASONS.index(entry.reason)
    return *_place(one), one.place.offset, item_kind, *ids, int(entry.kind), reason, entry.amount_minor, time_of(entry)


def _place(one: DetailedEntry) -> tuple[int, int, int]:
    return one.place.shard, one.place.sequence, one.entry_index
