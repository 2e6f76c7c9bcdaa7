"""Tables that state facts of entries with details: journal_legs, causes, item_events and those of risk, row by row.

Each is read in ledger order beside the rows that the ledger makes; the mapping is written here once more and not taken
from the sink.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from millrace.audit.ledger.entry_batch import EntryBatch
from millrace.audit.ledger.items import followed
from millrace.audit.ledger.rules import stated_legs
from millrace.audit.postgres.risk_rows import RISK_TERMS, RULE_SETS, VERDICTS, risk_rows
from millrace.audit.postgres.snapshot import DatabaseSnapshot
from millrace.audit.report import Differs, Invariant
from payments.entries import Entry
from payments.items.details import OPEN_ITEMS, Cause
from schemas.codec.fields import REASONS

Row = tuple[Any, ...]
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DetailTable(NamedTuple):
    """The first `order` columns say where a row stands in the ledger, `key` which one it is."""

    name: str
    columns: tuple[str, ...]
    order: int
    key: str


_PLACE = ("shard", "ledger_sequence", "entry_index")
JOURNAL_LEGS = DetailTable(
    "journal_legs",
    (*_PLACE, "leg_index", "journal_id", "account_id", "amount_minor", "currency", "posted_at", "ledger_offset"),
    4,
    "journal_id",
)
CAUSES = DetailTable(
    "causes", (*_PLACE, "operation_id", "kind", "cause_kind", "cause_id", "code", "decided_at"), 3, "operation_id"
)
ITEM_EVENTS = DetailTable(
    "item_events",
    (
        *(*_PLACE, "item_kind", "item_id", "ledger_offset", "owner", "operation_id"),
        *("kind", "reason", "amount_minor", "decided_at"),
    ),
    5,
    "item_id",
)
_RISK = {
    "verdicts": DetailTable("verdicts", (*_PLACE, *VERDICTS), 3, "operation_id"),
    "risk_terms": DetailTable("risk_terms", (*_PLACE, *RISK_TERMS), 3, "account_id"),
    "rule_sets": DetailTable("rule_sets", (*_PLACE, *RULE_SETS), 3, "version"),
}
_TABLES = (JOURNAL_LEGS, CAUSES, ITEM_EVENTS, *_RISK.values())


class DetailTables:
    """Feed the ledger in order of the shards, then `finish`."""

    def __init__(self, snapshot: DatabaseSnapshot, stack: ExitStack) -> None:
        self._rows = {table: _Rows(snapshot, table, stack) for table in _TABLES}

    def expect(self, batch: EntryBatch) -> None:
        """Raises Differs at the first row that is not as the batch makes it."""
        for _, (shard, sequence, offset, index), entry in batch.detailed():
            place = shard, sequence, index
            for leg_row in _leg_rows(entry, offset):
                self._rows[JOURNAL_LEGS].expect((*place, *leg_row))
            for cause in (detail for detail in entry.details if isinstance(detail, Cause)):
                self._rows[CAUSES].expect((*place, *_cause_row(entry, cause)))
            for event_row in sorted(_event_rows(entry, offset)):
                self._rows[ITEM_EVENTS].expect((*place, *event_row))
            for table, risk_row in risk_rows(entry, time_of(entry.decided_at_us)):
                self._rows[_RISK[table]].expect((*place, *risk_row))

    def finish(self) -> dict[str, int]:
        """Rows compared by table. Raises Differs where a table has more."""
        for rows in self._rows.values():
            rows.finish()
        return {table.name: rows.compared for table, rows in self._rows.items()}


class _Rows:
    """One table in ledger order."""

    def __init__(self, snapshot: DatabaseSnapshot, table: DetailTable, stack: ExitStack) -> None:
        order = ", ".join(table.columns[: table.order])
        query = f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY {order}"
        self._found: Iterator[Row] = snapshot.rows(query, stack)
        self._table = table
        self.compared = 0

    def expect(self, expected: Row) -> None:
        found = next(self._found, None)
        if found != expected:
            raise self._difference(expected, found)
        self.compared += 1

    def finish(self) -> None:
        for row in self._found:
            raise Differs(Invariant.TABLES, self._place(row), "no such row", self._shown(row, self._table.columns))

    def _difference(self, expected: Row, found: Row | None) -> Differs:
        order = self._table.order
        if found is None or found[:order] > expected[:order]:
            return Differs(
                Invariant.TABLES, self._place(expected), "this row", "no such row at its place in the ledger"
            )
        if found[:order] < expected[:order]:
            return Differs(Invariant.TABLES, self._place(found), "no such row", self._shown(found, self._table.columns))
        columns = self._table.columns
        differing = tuple(name for name, one, other in zip(columns, expected, found, strict=True) if one != other)
        sides = (self._shown(side, differing) for side in (expected, found))
        return Differs(Invariant.TABLES, self._place(expected), *sides)

    def _place(self, row: Row) -> str:
        return f"table {self._table.name}, {self._shown(row, (self._table.key,))}"

    def _shown(self, row: Row, names: tuple[str, ...]) -> str:
        values = dict(zip(self._table.columns, row, strict=True))
        return ", ".join(f"{name} {values[name]}" for name in names)


def _leg_rows(entry: Entry, offset: int) -> Iterator[Row]:
    journal_id, posted_at = UUID(bytes=entry.operation_id), time_of(entry.decided_at_us)
    for leg_index, leg in enumerate(stated_legs(entry)):
        yield leg_index, journal_id, UUID(bytes=leg.account), leg.posted, leg.currency, posted_at, offset


def _cause_row(entry: Entry, cause: Cause) -> Row:
    operation, cause_id = UUID(bytes=entry.operation_id), UUID(bytes=cause.cause_id)
    return operation, int(entry.kind), int(cause.kind), cause_id, cause.code, time_of(entry.decided_at_us)


def _event_rows(entry: Entry, offset: int) -> Iterator[Row]:
    reason, decided_at = REASONS.index(entry.reason), time_of(entry.decided_at_us)
    for item in followed(entry):
        item_id, *ids = (UUID(bytes=id_) for id_ in (item.item_id, item.owner, entry.operation_id))
        item_kind = OPEN_ITEMS.index(type(item))
        yield item_kind, item_id, offset, *ids, int(entry.kind), reason, entry.amount_minor, decided_at


def time_of(unix_us: int) -> datetime:
    """Microseconds since 1970 as a time."""
    return _UNIX_EPOCH + timedelta(microseconds=unix_us)
