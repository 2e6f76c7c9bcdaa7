"""A statement as a CSV table: an opening row, a row per entry, a closing row, and a row per kind and side of totals."""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from ingest_api.http.resources import account_text, rfc3339
from ingest_api.statements.formats.cells import csv_rows, text_cell
from ingest_api.statements.formats.rendering import Head
from ingest_api.statements.kinds import LineKind
from ingest_api.statements.line import Line
from ingest_api.statements.totals import KindTotal, Totals
from payments.identifiers import JOURNAL, format_id
from payments.money import format_minor

COLUMNS: Final = (
    "row",
    "at",
    "journal_id",
    "kind",
    "counterparty",
    "counterparty_name",
    "description",
    "currency",
    "amount",
    "amount_minor",
    "balance",
    "balance_minor",
    "fee",
    "fee_minor",
    "entries",
)


class CsvStatement:
    """`row` says what a row is: opening, entry, closing or total. Numbers are written without grouping."""

    entries_max = sys.maxsize

    def __init__(self) -> None:
        self._closing: tuple[datetime, int]
        self._currency = ""

    def head(self, head: Head) -> bytes:
        self._currency, self._closing = head.currency, (head.end, head.closing_minor)
        opening = self._balance("opening", head.start, head.opening_minor, account_text(head.account))
        return csv_rows((COLUMNS, opening))

    def lines(self, lines: Sequence[Line]) -> bytes:
        return csv_rows(self._entry(line) for line in lines)

    def foot(self, totals: Totals) -> bytes:
        closing = self._balance("closing", *self._closing, "")
        return csv_rows([closing, *(row for of_kind in totals for row in self._totals(*of_kind))])

    def _entry(self, line: Line) -> tuple[object, ...]:
        return (
            "entry",
            rfc3339(line.place.posted_at),
            format_id(JOURNAL, line.journal_id),
            line.kind.value,
            account_text(line.counterparty) if line.counterparty is not None else "",
            text_cell(line.counterparty_name),
            text_cell(line.description),
            self._currency,
            *self._money(line.amount_minor),
            *self._money(line.balance_minor),
            *self._money(line.fee_minor),
            1,
        )

    def _balance(self, row: str, at: datetime, balance_minor: int, account: str) -> tuple[object, ...]:
        blank = ("", "", account, "", "", self._currency, "", "")
        return row, rfc3339(at), *blank, *self._money(balance_minor), "", "", ""

    def _totals(self, kind: LineKind, total: KindTotal) -> Iterator[tuple[object, ...]]:
        for entries, amount_minor, fee_minor in (
            (total.credits, total.credited_minor, total.fees_on_credits_minor),
            (total.debits, -total.debited_minor, total.fees_on_debits_minor),
        ):
            if entries:
                blank = ("", "", kind.value, "", "", "", self._currency)
                yield "total", *blank, *self._money(amount_minor), "", "", *self._money(fee_minor), entries

    def _money(self, minor: int) -> tuple[str, int]:
        return format_minor(minor, self._currency), minor
