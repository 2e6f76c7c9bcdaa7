"""PayPal's settlement report (STL) and transaction detail report (TRR) → lines and statements.

Source: PayPal Settlement Report Specification 9.0.5. The first cell tags a row: RH FH SH CH SB SF SC RF RC FF. Amounts
are unsigned hundredths in every currency (100 yen are 10000), the sign is CR or DR. A statement is a section (an
account) in one currency; its movements are gross and fee together, from beginning to ending balance.
"""

from collections.abc import Iterator

from reconciliation.statements.lines import (
    BadLine,
    Balance,
    ControlTotal,
    Event,
    Line,
    Position,
    Statement,
    balance_proof,
    stated_references,
)
from reconciliation.statements.providers.tables import Row
from reconciliation.statements.providers.tabular import normal
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.values import day_of, written_minor

TAGS = frozenset({"RH", "FH", "SH", "CH", "SB", "SF", "SC", "RF", "RC", "FF"})
_DATE_FORMATS = ("%Y/%m/%d %H:%M:%S %z", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d", "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d")
_NEEDED = ("Transaction ID", "Transaction Debit or Credit", "Gross Transaction Amount", "Gross Transaction Currency")
_REFERENCES = {
    "transaction_id": "Transaction ID",
    "invoice_id": "Invoice ID",
    "reference_id": "PayPal Reference ID",
    "reference_id_type": "PayPal Reference ID Type",
    "payment_tracking_id": "Payment Tracking ID",
    "bank_reference_id": "Bank Reference ID",
    "custom_field": "Custom Field",
    "store_id": "Store ID",
}
_SIGNS = {"CR": 1, "DR": -1, "": 1}
_STATUSES = {"P": "PDNG", "D": "INFO"}
"""Pending and denied; S (success) and V (reversed by a later one) moved the balance."""


def hundredths(text: str, currency: str) -> int:
    """Minor units of PayPal's hundredths: "10000" of JPY is 100. Raises Refused."""
    return written_minor(text, currency, ".", 2) if text else 0


class _Sums:
    """Gross and fees of one currency, credits and debits apart."""

    def __init__(self) -> None:
        self.gross = {"CR": 0, "DR": 0}
        self.fee = {"CR": 0, "DR": 0}

    def totals(self, cells: list[str], currency: str) -> list[ControlTotal]:
        """The four sums that a footer states, beside these."""
        parts = ((self.gross, "gross"), (self.fee, "fee"))
        actual = [(f"{name} {side}", sums[side]) for sums, name in parts for side in ("CR", "DR")]
        return [
            ControlTotal(f"{cells[0]} {currency} {name}", hundredths(text, currency), value)
            for (name, value), text in zip(actual, cells[2:6], strict=False)
            if text
        ]

    def moved(self) -> int:
        return self.gross["CR"] - self.gross["DR"] + self.fee["CR"] - self.fee["DR"]


class _Part:
    """One currency of a section: a statement."""

    def __init__(self, number: int, currency: str) -> None:
        self.number = number
        self.currency = currency
        self.sums = _Sums()
        self.totals: list[ControlTotal] = []
        self.balances: list[Balance] = []


class PayPalReader:
    """The rows of one file."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._cells: list[str] = []
        self._account = ""
        self._parts: dict[str, _Part] = {}
        self._report: dict[str, _Sums] = {}
        self._statements = 0
        self._rows = [0, 0, 0]
        """Rows of the section, of the file, and the file's number in its report."""
        self._loose: list[ControlTotal] = []
        self._waiting: list[Statement] = []
        self._period: tuple[str | None, str | None] = (None, None)
        self._headed = self._footed = False
        self._section_footed = False

    def events(self, rows: Iterator[Row]) -> Iterator[Event]:
        for number, cells in rows:
            self._cells = cells
            try:
                yield from self._take(cells[0].upper(), Position(number))
            except Refused as refusal:
                yield BadLine(Position(number), str(refusal))
        if self._headed and not self._footed:
            raise Refused(Reason.CUT_OFF, "the file footer (FF) is missing: the file was cut off")
        yield from self._close_section()

    def _take(self, tag: str, position: Position) -> Iterator[Event]:
        match tag:
            case "RH":
                pass
            case "FH":
                self._headed = True
                self._rows[2] = self._number(1)
            case "SH":
                yield from self._close_section()
                self._account = self._cell(3)
                self._period = self._date(self._cell(1)), self._date(self._cell(2))
                self._rows[0] = 0
            case "CH":
                self._places = {normal(name): place for place, name in reversed(list(enumerate(self._cells))) if name}
                missing = [name for name in _NEEDED if normal(name) not in self._places]
                if missing:
                    raise Refused(Reason.COLUMNS, f"the columns {', '.join(missing)} are missing")
            case "SB":
                yield self._line(position)
            case "SF":
                self._section_footer()
            case "RF":
                self._report_footer()
            case "SC" | "FF" | "RC":
                self._count(tag)
            case _:
                raise Refused(Reason.STRUCTURE, f"{tag[:20]!r} is no tag of a PayPal report")

    def _cell(self, place: int) -> str:
        return self._cells[place] if place < len(self._cells) else ""

    def _number(self, place: int) -> int:
        text = self._cell(place)
        if not text.isdecimal():
            raise Refused(Reason.FIELD, f"{text[:20]!r} is no number")
        return int(text)

    def _named(self, column: str) -> str:
        place = self._places.get(normal(column))
        return self._cell(place) if place is not None else ""

    def _day(self, column: str) -> str | None:
        return self._date(self._named(column))

    def _date(self, text: str) -> str | None:
        return day_of(text, _DATE_FORMATS) if text else None

    def _line(self, position: Position) -> Line:
        if not self._places:
            raise Refused(Reason.STRUCTURE, "a transaction (SB) stands before the column header (CH)")
        self._rows[0] += 1
        self._rows[1] += 1
        currency = self._named("Gross Transaction Currency").upper()
        part = self._part(currency)
        gross = self._signed("Transaction Debit or Credit", "Gross Transaction Amount", currency, part, "gross")
        fee_currency = self._named("Fee Currency").upper() or currency
        fee = self._signed("Fee Debit or Credit", "Fee Amount", fee_currency, self._part(fee_currency), "fee")
        own_fee = fee if fee_currency == currency else 0
        return Line(
            statement=part.number,
            amount_minor=gross + own_fee,
            currency=currency,
            booking_date=self._day("Transaction Completion Date") or self._day("Transaction Initiation Date"),
            value_date=self._day("Transaction Initiation Date"),
            references=stated_references({name: self._named(column) for name, column in _REFERENCES.items()}),
            description=self._named("Transaction Subject") or self._named("Item Name"),
            position=position,
            type=self._named("Transaction Event Code"),
            status=_STATUSES.get(self._named("Transactional Status").upper(), ""),
            gross_minor=gross,
            fee_minor=-own_fee,
            counterparty=self._named("Payer's Account ID") or self._named("Consumer ID"),
        )

    def _signed(self, side_column: str, column: str, currency: str, part: _Part, kind: str) -> int:
        side, text = self._named(side_column).upper(), self._named(column)
        if side not in _SIGNS:
            raise Refused(Reason.FIELD, f"{side_column} is {side[:20]!r}, neither CR nor DR")
        amount = hundredths(text, currency)
        sums = part.sums.gross if kind == "gross" else part.sums.fee
        report = self._report.setdefault(currency, _Sums())
        for one in (sums, report.gross if kind == "gross" else report.fee):
            one[side or "CR"] += amount
        return _SIGNS[side] * amount

    def _part(self, currency: str) -> _Part:
        part = self._parts.get(currency)
        if part is None:
            part = self._parts[currency] = _Part(self._statements, currency)
            self._statements += 1
        return part

    def _section_footer(self) -> None:
        """Totals of a currency, and its balances: sign and amount, at the beginning and at the end."""
        self._section_footed = True
        currency = self._cell(1).upper()
        part = self._part(currency)
        part.totals += part.sums.totals(self._cells, currency)
        for code, place in (("opening", 6), ("closing", 8)):
            side, text = self._cell(place).upper(), self._cell(place + 1)
            if text and side in _SIGNS:
                part.balances.append(Balance(code, _SIGNS[side] * hundredths(text, currency), currency))

    def _report_footer(self) -> None:
        """Totals of all files of a report: comparable when this is the only one."""
        currency = self._cell(1).upper()
        if self._rows[2] <= 1 and len(currency) == 3:
            self._loose += self._report.setdefault(currency, _Sums()).totals(self._cells, currency)

    def _count(self, tag: str) -> None:
        if tag == "FF":
            self._footed = True
        elif tag == "SC":
            self._section_footed = True
        stated = self._number(1)
        if tag == "SC":
            self._loose.append(ControlTotal("SC rows", stated, self._rows[0]))
        elif tag == "FF" or self._rows[2] <= 1:
            self._loose.append(ControlTotal(f"{tag} rows", stated, self._rows[1]))

    def _close_section(self) -> Iterator[Statement]:
        """The statements of a section. Counts of rows are of no currency: they go with the last one.

        An excerpt without the file's header is read, too; without any footer nothing says that it is whole.
        """
        parts = list(self._parts.values())
        footed, self._section_footed = self._section_footed, False
        if parts and not footed:
            self._loose.append(ControlTotal("section_footer_present", 1, 0))
        for part in parts:
            opening = next((one.amount_minor for one in part.balances if one.code == "opening"), None)
            closing = next((one.amount_minor for one in part.balances if one.code == "closing"), None)
            loose = self._loose if part is parts[-1] else []
            yield Statement(
                number=part.number,
                account=self._account,
                currency=part.currency,
                opening_minor=opening,
                closing_minor=closing,
                control_totals=[*balance_proof(opening, closing, part.sums.moved()), *part.totals, *loose],
                from_date=self._period[0],
                to_date=self._period[1],
                balances=part.balances,
                warnings=[] if footed else ["the footers of the section (SF, SC) are missing"],
            )
        if parts:
            self._parts, self._loose = {}, []
