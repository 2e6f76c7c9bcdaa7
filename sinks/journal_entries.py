"""The tables journal_entries and journal_legs: one row per journal entry, written once.

The row holds both legs of a plain entry; of one that states its legs it is the headline, and each leg is a row of its
own. The journal id has the sixteen bytes of the payment's id: one payment, one journal entry.
"""

from typing import Final
from uuid import UUID

import numpy as np
from psycopg import Connection

from payments.postings import JOURNAL_ENTRIES as POSTING_KINDS
from payments.postings import Posting, legs_of
from sinks.copy_rows import (
    BIGINT,
    CURRENCY,
    ID,
    INTEGER,
    SMALLINT,
    TIME,
    Column,
    CopyTarget,
    currency_text,
    postgres_time,
)
from sinks.details.rows import send_rows, time_of
from sinks.ledger_batch import DetailedEntry, LedgerBatch

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
        "stated_legs": SMALLINT,
        "kind": SMALLINT,
    },
)
JOURNAL_LEGS: Final = (
    "COPY journal_legs (journal_id, leg_index, account_id, amount_minor, currency, posted_at, shard, ledger_sequence,"
    " ledger_offset, entry_index) FROM STDIN"
)


def copy_journal_entries(connection: Connection, batch: LedgerBatch) -> None:
    """Every entry of the batch that posts."""
    posted = batch.is_any(*POSTING_KINDS)
    legs = [(one, legs_of(one.entry.details)) for one in batch.detailed if posted[one.at]]
    stated_legs = np.zeros(batch.entry_count, np.int64)
    for one, stated in legs:
        stated_legs[one.at] = len(stated)
    _copy_headlines(connection, batch, posted, stated_legs)
    _copy_legs(connection, legs)


def _copy_headlines(connection: Connection, batch: LedgerBatch, posted: Column, stated_legs: Column) -> None:
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
            "stated_legs": stated_legs[posted],
            "kind": batch.kinds[posted],
        }
    )
    JOURNAL_ENTRIES.send(connection, rows)


def _copy_legs(connection: Connection, journals: list[tuple[DetailedEntry, tuple[Posting, ...]]]) -> None:
    rows = [
        (
            UUID(bytes=one.entry.operation_id),
            leg_index,
            UUID(bytes=leg.account),
            leg.amount_minor,
            leg.currency,
            time_of(one.entry),
            one.place.shard,
            one.place.sequence,
            one.place.offset,
            one.entry_index,
        )
        for one, legs in journals
        for leg_index, leg in enumerate(legs)
    ]
    send_rows(connection, JOURNAL_LEGS, rows)
