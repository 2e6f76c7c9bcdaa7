"""The table journal_entries: one row per journal entry with both legs, written once.

The journal id has the sixteen bytes of the payment's id: one payment, one journal entry.
"""

from typing import Final

from psycopg import Connection

from payments.entries import EntryKind
from sinks.copy_rows import BIGINT, CURRENCY, ID, INTEGER, SMALLINT, TIME, CopyTarget, currency_text, postgres_time
from sinks.ledger_batch import LedgerBatch

JOURNAL_ENTRIES: Final = CopyTarget(
    "journal_entries",
    {
        "journal_id": ID,
        "payment_id": ID,
        "debit_account": ID,
        "credit_account": ID,
        "amount_minor": BIGINT,
        "currency": CURRENCY,
        "posted_at": TIME,
        "shard": SMALLINT,
        "ledger_sequence": BIGINT,
        "ledger_offset": BIGINT,
        "entry_index": INTEGER,
        "source": SMALLINT,
        "source_offset": BIGINT,
        "source_item": INTEGER,
    },
)


def copy_journal_entries(connection: Connection, batch: LedgerBatch) -> None:
    """Every posted entry of the batch."""
    posted = batch.is_any(EntryKind.POSTED)
    entries, places = batch.entries[posted], {name: column[posted] for name, column in batch.places.items()}
    rows = JOURNAL_ENTRIES.rows(
        {
            "journal_id": entries["operation_id"],
            "payment_id": entries["operation_id"],
            "debit_account": entries["debit_account"],
            "credit_account": entries["credit_account"],
            "amount_minor": entries["amount_minor"],
            "currency": currency_text(entries["currency"]),
            "posted_at": postgres_time(entries["decided_at_us"]),
            "shard": places["shard"],
            "ledger_sequence": places["sequence"],
            "ledger_offset": places["offset"],
            "entry_index": places["index"],
            "source": places["source"],
            "source_offset": entries["source_offset"],
            "source_item": entries["source_item"],
        }
    )
    JOURNAL_ENTRIES.send(connection, rows)
