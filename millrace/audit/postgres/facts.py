"""Tables that state facts of fixed width: decisions, journal_entries, refusals, returns, account_events, row by row.

Each is streamed in ledger order beside the rows that the ledger makes, so memory is one batch whatever their size. The
mapping from entries to rows is written here once more and not taken from the sink.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import numpy as np

from millrace.audit.ledger.entry_batch import EntryBatch, Mask
from millrace.audit.ledger.rules import POSTING, stated_legs
from millrace.audit.postgres.detail_rows import DetailTables
from millrace.audit.postgres.row_stream import (
    BIGINT,
    CURRENCY,
    ID,
    INTEGER,
    SMALLINT,
    TIME,
    RowStream,
    Table,
    currency_text,
    postgres_time,
)
from millrace.audit.postgres.snapshot import DatabaseSnapshot
from millrace.audit.report import Differs, Invariant
from payments.entries import EntryKind

_MONEY = {"payer": ID, "payee": ID, "amount_minor": BIGINT, "currency": CURRENCY}
_LEDGER = {"shard": SMALLINT, "ledger_sequence": BIGINT, "ledger_offset": BIGINT}
_SOURCE = {"source": SMALLINT, "source_offset": BIGINT, "source_item": INTEGER}
_COMMAND = {"command_offset": BIGINT, "command_item": INTEGER}
_BY_COMMAND = ("shard", "ledger_sequence", "command_offset", "command_item")
_BY_SOURCE = ("shard", "ledger_sequence", "source_offset", "source_item")

DECISIONS = Table(
    "decisions",
    {"payment_id": ID, "kind": SMALLINT, "reason": SMALLINT, **_MONEY, "decided_at": TIME, **_LEDGER, **_COMMAND},
    _BY_COMMAND,
)
JOURNAL_ENTRIES = Table(
    "journal_entries",
    {
        **{"journal_id": ID, "payment_id": ID, "debit_account": ID, "credit_account": ID},
        **{"amount_minor": BIGINT, "currency": CURRENCY, "posted_at": TIME},
        **_LEDGER,
        "entry_index": INTEGER,
        **_SOURCE,
        "stated_legs": SMALLINT,
        "kind": SMALLINT,
    },
    ("shard", "ledger_sequence", "entry_index"),
)
REFUSALS = Table(
    "refusals", {"payment_id": ID, "reason": SMALLINT, **_MONEY, "refused_at": TIME, **_LEDGER, **_SOURCE}, _BY_SOURCE
)
RETURNS = Table(
    "returns", {"payment_id": ID, "reason": SMALLINT, **_MONEY, "returned_at": TIME, **_LEDGER, **_SOURCE}, _BY_SOURCE
)
ACCOUNT_EVENTS = Table(
    "account_events",
    {
        **{"operation_id": ID, "account_id": ID, "kind": SMALLINT, "reason": SMALLINT},
        **{"amount_minor": BIGINT, "currency": CURRENCY, "decided_at": TIME},
        **_LEDGER,
        **_COMMAND,
    },
    _BY_COMMAND,
)
FACTS = (DECISIONS, JOURNAL_ENTRIES, REFUSALS, RETURNS, ACCOUNT_EVENTS)

_DESCRIBED = {DECISIONS: "payment_id", ACCOUNT_EVENTS: "operation_id"}

Texts = Iterator[tuple[UUID, str]]


class FactTables:
    """The streams of all fact tables; feed the ledger in order of the shards, then `finish`."""

    def __init__(self, snapshot: DatabaseSnapshot, stack: ExitStack) -> None:
        self._streams = {table.name: RowStream(snapshot.connect(stack), table, stack) for table in FACTS}
        self._texts: dict[str, Texts] = {
            table.name: snapshot.rows(
                f"SELECT {key}, description FROM {table.name} WHERE description IS NOT NULL ORDER BY "
                + ", ".join(_BY_COMMAND),
                stack,
            )
            for table, key in _DESCRIBED.items()
        }
        self._details = DetailTables(snapshot, stack)

    def expect(self, batch: EntryBatch) -> None:
        """Raises Differs at the first row that is not as the batch makes it."""
        decided, others = batch.decides_payment, batch.decides & ~batch.decides_payment
        self._compare(DECISIONS, batch, decided)
        self._compare(JOURNAL_ENTRIES, batch, batch.is_any(*POSTING))
        self._compare(REFUSALS, batch, batch.is_any(EntryKind.REFUSED))
        self._compare(RETURNS, batch, batch.is_any(EntryKind.RETURNED))
        self._compare(ACCOUNT_EVENTS, batch, others)
        for index, text in batch.descriptions():
            for table, chosen in ((DECISIONS, decided), (ACCOUNT_EVENTS, others)):
                if chosen[index]:
                    self._compare_text(table, UUID(bytes=bytes(batch.entries["operation_id"][index])), text)
        self._details.expect(batch)

    def finish(self) -> dict[str, int]:
        """Rows compared by table. Raises Differs where a table has more."""
        for stream in self._streams.values():
            stream.finish()
        for table, key in _DESCRIBED.items():
            for id_, _ in self._texts[table.name]:
                raise Differs(Invariant.TABLES, f"table {table.name}, {key} {id_}", "no description", "one")
        return {name: stream.compared for name, stream in self._streams.items()} | self._details.finish()

    def _compare(self, table: Table, batch: EntryBatch, chosen: Mask) -> None:
        if chosen.any():
            self._streams[table.name].expect(table.rows(_columns(batch, chosen)))

    def _compare_text(self, table: Table, id_: UUID, text: str) -> None:
        # PostgreSQL's text holds every character but U+0000; the sink shows it as U+FFFD.
        expected = id_, text.replace("\0", "\ufffd")
        found = next(self._texts[table.name], None)
        if found != expected:
            key = _DESCRIBED[table]
            shown = "no description" if found is None else f"description {found[1]!r} of {key} {found[0]}"
            raise Differs(Invariant.TABLES, f"table {table.name}, {key} {id_}", f"description {expected[1]!r}", shown)


def _stated_legs(batch: EntryBatch) -> np.ndarray[Any, Any]:
    found = np.zeros(len(batch.entries), np.int64)
    for at, _, entry in batch.detailed():
        found[at] = len(stated_legs(entry))
    return found


def _columns(batch: EntryBatch, chosen: Mask) -> dict[str, np.ndarray[Any, Any]]:
    """Every column that any fact table has, under each of its names."""
    entries = batch.entries[chosen]
    places = {name: column[chosen] for name, column in batch.places.items()}
    columns: dict[str, np.ndarray[Any, Any]] = {
        "kind": batch.kinds[chosen],
        "reason": entries["reason"] >> 1,
        "amount_minor": entries["amount_minor"],
        "currency": currency_text(entries["currency"]),
        "shard": places["shard"],
        "ledger_sequence": places["sequence"],
        "ledger_offset": places["offset"],
        "entry_index": places["index"],
        "source": places["source"],
        "stated_legs": _stated_legs(batch)[chosen],
    }
    columns |= dict.fromkeys(("payment_id", "journal_id", "operation_id"), entries["operation_id"])
    columns |= dict.fromkeys(("payer", "debit_account", "account_id"), entries["debit_account"])
    columns |= dict.fromkeys(("payee", "credit_account"), entries["credit_account"])
    columns |= dict.fromkeys(("source_offset", "command_offset"), entries["source_offset"])
    columns |= dict.fromkeys(("source_item", "command_item"), entries["source_item"])
    times = postgres_time(entries["decided_at_us"])
    return columns | dict.fromkeys(("decided_at", "posted_at", "refused_at", "returned_at"), times)
