"""Balances as Postgres shows them: the table balances, or its facts summed up to the same point of the ledger.

Reads Postgres by binary COPY in blocks of BLOCK_ROWS, whatever the size of the tables. Of a past point, what counts is
read from decisions, journal_entries, returns and account_events, which say of each row where it stands in the ledger.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from psycopg import Connection

from millrace.audit.ledger.entry_batch import Column
from millrace.audit.postgres.row_stream import BIGINT, CURRENCY, ID, Table
from millrace.replay.ledger import NextOffsets
from payments.entries import EntryKind

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
), moves AS (
    SELECT credit_account AS account_id, currency, amount_minor AS posted_minor, amount_minor AS available_minor
    FROM journal_entries JOIN upto USING (shard) WHERE ledger_offset < next_offset
    UNION ALL
    SELECT debit_account, currency, -amount_minor,
        CASE WHEN get_byte(uuid_send(debit_account), 6) < 16 THEN -amount_minor ELSE 0 END
    FROM journal_entries JOIN upto USING (shard) WHERE ledger_offset < next_offset
    UNION ALL
    SELECT payer, currency, 0, -amount_minor
    FROM decisions JOIN upto USING (shard) WHERE ledger_offset < next_offset AND kind = {int(EntryKind.RESERVED)}
    UNION ALL
    SELECT payer, currency, 0, amount_minor
    FROM returns JOIN upto USING (shard) WHERE ledger_offset < next_offset
    UNION ALL
    SELECT account_id, currency, 0, 0
    FROM account_events JOIN upto USING (shard)
    WHERE ledger_offset < next_offset AND kind = {int(EntryKind.ACCOUNT_OPENED)}
)
SELECT account_id, min(currency)::char(3), sum(posted_minor)::bigint, sum(available_minor)::bigint
FROM moves GROUP BY account_id"""


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
