"""The tables decisions, refusals and returns: what was decided about a payment or a hold, one row per fact.

Reads the entries of a batch, writes rows once. A second row under one payment id stops the sink (primary key).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from payments.entries import EntryKind
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
from sinks.ledger_batch import LedgerBatch

_MONEY: Final = {"payer": ID, "payee": ID, "amount_minor": BIGINT, "currency": CURRENCY}
_LEDGER_PLACE: Final = {"shard": SMALLINT, "ledger_sequence": BIGINT, "ledger_offset": BIGINT}
_SOURCE_PLACE: Final = {"source": SMALLINT, "source_offset": BIGINT, "source_item": INTEGER}

DECISIONS: Final = CopyTarget(
    "decisions",
    {
        "payment_id": ID,
        "kind": SMALLINT,
        "reason": SMALLINT,
        **_MONEY,
        "decided_at": TIME,
        **_LEDGER_PLACE,
        "command_offset": BIGINT,
        "command_item": INTEGER,
    },
    text_column="description",
)
REFUSALS: Final = CopyTarget(
    "refusals",
    {"payment_id": ID, "reason": SMALLINT, **_MONEY, "refused_at": TIME, **_LEDGER_PLACE, **_SOURCE_PLACE},
)
RETURNS: Final = CopyTarget(
    "returns",
    {"payment_id": ID, "reason": SMALLINT, **_MONEY, "returned_at": TIME, **_LEDGER_PLACE, **_SOURCE_PLACE},
)


_ABOUT_PAYMENTS: Final = (
    EntryKind.RESERVED,
    EntryKind.POSTED,
    EntryKind.POSTED_UNCOLLECTED,
    EntryKind.HELD,
    EntryKind.HOLD_RAISED,
    EntryKind.CAPTURED,
    EntryKind.RELEASED,
    EntryKind.DEBITED,
)


def copy_decisions(connection: Connection, batch: LedgerBatch) -> None:
    """Every payment and hold decided at its authority: reserved, held, rejected, or posted at once (a deposit)."""
    chosen = is_about_payment(batch)
    DECISIONS.send(connection, DECISIONS.rows(_columns(batch, chosen, "decided_at")), batch.texts_of(chosen))


def is_about_payment(batch: LedgerBatch) -> NDArray[np.bool_]:
    """Which decisions are about a payment or a hold: of the rejected ones those with a payee. The others are about one
    account.
    """
    rejections = batch.is_any(EntryKind.REJECTED) & ~batch.credit_is_nil
    return np.asarray(batch.decides & (batch.is_any(*_ABOUT_PAYMENTS) | rejections))


def copy_refusals(connection: Connection, batch: LedgerBatch) -> None:
    """Credits that the receiver could not take."""
    REFUSALS.send(connection, REFUSALS.rows(_columns(batch, batch.is_any(EntryKind.REFUSED), "refused_at")))


def copy_returns(connection: Connection, batch: LedgerBatch) -> None:
    """Reserved amounts given back to their payers."""
    RETURNS.send(connection, RETURNS.rows(_columns(batch, batch.is_any(EntryKind.RETURNED), "returned_at")))


def _columns(batch: LedgerBatch, chosen: NDArray[np.bool_], time_column: str) -> dict[str, Column | int]:
    entries, places = batch.entries[chosen], {name: column[chosen] for name, column in batch.places.items()}
    return {
        "payment_id": entries["operation_id"],
        "kind": batch.kinds[chosen],
        "reason": batch.reasons[chosen],
        "payer": entries["debit_account"],
        "payee": entries["credit_account"],
        "amount_minor": entries["amount_minor"],
        "currency": currency_text(entries["currency"]),
        time_column: postgres_time(entries["decided_at_us"]),
        "shard": places["shard"],
        "ledger_sequence": places["sequence"],
        "ledger_offset": places["offset"],
        "command_offset": entries["source_offset"],
        "command_item": entries["source_item"],
        "source": places["source"],
        "source_offset": entries["source_offset"],
        "source_item": entries["source_item"],
    }
