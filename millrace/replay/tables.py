"""Balances as Postgres shows them: the table balances, or its facts summed up to the same point of the ledger.

Reads Postgres by binary COPY in blocks of BLOCK_ROWS, whatever the size of the tables. Of a past point, what counts is
read from the tables that say of each row where it stands in the ledger: decisions, journal_entries, journal_legs,
returns, account_events and item_events.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from psycopg import Connection

from millrace.audit.ledger.entry_batch import Column
from millrace.audit.postgres.row_stream import BIGINT, CURRENCY, ID, Table
from millrace.replay.ledger import NextOffsets
from payments.entries import EntryKind
from payments.items.details import OPEN_ITEMS, Hold

BLOCK_ROWS = 16_384
"""53 bytes a row: 0.9 MB."""

BALANCES = Table(
    "balances",
    {"account_id": ID, "currency": CURRENCY, "posted_minor": BIGINT, "available_minor": BIGINT},
    ("account_id",),
)
_HEADER_BYTES = 19

_SHOWN = "SELECT account_id, currency, posted_minor, available_minor FROM balances"

# Byte 6 of an id holds the version, which is 0 for the operator's own accounts alone.
_SUMMED = f"""
WITH upto AS (
    SELECT * FROM unnest(%(shards)s::smallint[], %(next_offsets)s::bigint[]) AS point (shard, next_offset)
), journals AS (
    SELECT journal_entries.* FROM journal_entries JOIN upto USING (shard) WHERE ledger_offset < next_offset
), changed AS (
    SELECT item_events.* FROM item_events JOIN upto USING (shard) WHERE ledger_offset < next_offset
), legs AS (
    SELECT debit_account AS account_id, currency, -amount_minor AS amount_minor,
        kind = {EntryKind.DEBITED:d} AS is_available
    FROM journals WHERE stated_legs = 0
    UNION ALL
    SELECT credit_account, currency, amount_minor, kind <> {EntryKind.POSTED_UNCOLLECTED:d}
    FROM journals WHERE stated_legs = 0
    UNION ALL
    SELECT account_id, leg.currency, leg.amount_minor, CASE kind
        WHEN {EntryKind.DEBITED:d} THEN account_id = debit_account
        WHEN {EntryKind.JOURNAL_POSTED:d} THEN false
        ELSE account_id = credit_account END
    FROM journals JOIN journal_legs AS leg USING (journal_id)
), ended_holds AS (
    -- What a final capture gave back: all that was ever held, less all that was captured.
    SELECT payer AS account_id, currency, sum(CASE kind
        WHEN {EntryKind.CAPTURED:d} THEN -event.amount_minor ELSE event.amount_minor END) AS amount_minor
    FROM holds JOIN changed AS event ON item_id = hold_id AND item_kind = {OPEN_ITEMS.index(Hold)}
    WHERE NOT is_open
    GROUP BY hold_id
    HAVING (array_agg(kind ORDER BY event.ledger_sequence DESC, event.entry_index DESC))[1] = {EntryKind.CAPTURED:d}
        AND bool_or((event.ledger_sequence, event.entry_index) = (holds.ledger_sequence, holds.entry_index))
), moves AS (
    SELECT account_id, currency, amount_minor AS posted_minor,
        CASE WHEN is_available OR get_byte(uuid_send(account_id), 6) < 16 THEN amount_minor ELSE 0 END
        AS available_minor
    FROM legs
    UNION ALL
    SELECT payer, currency, 0, -amount_minor
    FROM decisions JOIN upto USING (shard) WHERE ledger_offset < next_offset AND kind = {EntryKind.RESERVED:d}
    UNION ALL
    SELECT payer, currency, 0, amount_minor
    FROM returns JOIN upto USING (shard) WHERE ledger_offset < next_offset
    UNION ALL
    SELECT account_id, currency, 0, CASE kind WHEN {EntryKind.COLLECTED:d} THEN amount_minor ELSE 0 END
    FROM account_events JOIN upto USING (shard)
    WHERE ledger_offset < next_offset AND kind IN ({EntryKind.ACCOUNT_OPENED:d}, {EntryKind.COLLECTED:d})
    UNION ALL
    SELECT owner, currency, 0, CASE kind WHEN {EntryKind.RELEASED:d} THEN event.amount_minor
        WHEN {EntryKind.CAPTURED:d} THEN 0 ELSE -event.amount_minor END
    FROM changed AS event JOIN holds ON hold_id = item_id AND item_kind = {OPEN_ITEMS.index(Hold)}
    UNION ALL
    SELECT account_id, currency, 0, amount_minor FROM ended_holds
    UNION ALL
    SELECT owner, currency, 0, available_minor
    FROM uncollected_moves JOIN upto USING (shard) JOIN uncollected_deposits ON deposit_id = item_id
    WHERE ledger_offset < next_offset AND kind <> {EntryKind.COLLECTED:d}
    UNION ALL
    -- The event's amount is what moved: less than the leg where part of it waits for a delivery.
    SELECT owner, currency, 0, CASE
        WHEN leg.amount_minor < 0 AND kind = {EntryKind.LEG_RESERVED:d} THEN -event.amount_minor
        WHEN leg.amount_minor < 0 AND kind = {EntryKind.LEG_RELEASED:d} THEN event.amount_minor
        WHEN leg.amount_minor > 0 AND kind = {EntryKind.LEG_SETTLED:d} THEN event.amount_minor ELSE 0 END
    FROM changed AS event JOIN reserved_legs AS leg ON leg_id = item_id
)
SELECT account_id, min(currency)::char(3), sum(posted_minor)::bigint, sum(available_minor)::bigint
FROM moves GROUP BY account_id"""


def open_holds(connection: Connection) -> dict[bytes, int]:
    """What is left of every open hold, by its id."""
    rows = connection.execute("SELECT hold_id, remaining_minor FROM holds WHERE is_open")
    return {hold_id.bytes: remaining_minor for hold_id, remaining_minor in rows}


def shown_balances(connection: Connection) -> Iterator[Column]:
    """The table balances, in no order."""
    return _blocks(connection, _SHOWN, {})


def summed_balances(connection: Connection, to: NextOffsets) -> Iterator[Column]:
    """The same columns, summed from the facts below these ledger offsets (by Postgres, on disk where it has to)."""
    return _blocks(connection, _SUMMED, {"shards": list(to), "next_offsets": list(to.values())})


def _blocks(connection: Connection, query: str, parameters: dict[str, Any]) -> Iterator[Column]:
    width, waiting = BALANCES.dtype.itemsize, bytearray()
    statement = f"COPY ({query}) TO STDOUT (FORMAT binary)".encode()
    with connection.cursor() as cursor, cursor.copy(statement, parameters) as rows:
        waiting += next(iter(rows))
        del waiting[:_HEADER_BYTES]
        for row in rows:
            waiting += row
            if len(waiting) >= BLOCK_ROWS * width:
                yield _block(waiting, width)
    yield _block(waiting, width)


def _block(waiting: bytearray, width: int) -> Column:
    """The whole rows of a buffer, which keeps the rest (at the end, the two bytes of the trailer)."""
    whole = len(waiting) // width * width
    rows = np.frombuffer(bytes(waiting[:whole]), BALANCES.dtype)
    del waiting[:whole]
    return rows
