"""The frame of a camt statement: account, balances, totals → its Statement, with opening + entries = closing proven.

Opening is OPBD, else PRCD, else the first ITBD, else OPAV; closing is CLBD, else the last ITBD, else CLAV, else INFO
(CENTROlink). A balance in another currency than the statement's proves nothing and stays in the list.
"""

from collections.abc import Iterator

from reconciliation.statements.iso20022.entries import EntryHead
from reconciliation.statements.iso20022.parts import account, amount, day_of, sign
from reconciliation.statements.iso20022.stream import Record
from reconciliation.statements.lines import (
    BOOKED,
    BadLine,
    Balance,
    ControlTotal,
    Event,
    Line,
    Position,
    Statement,
    balance_proof,
)
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.values import minor

_PARTICIPANT = "Tp/CdOrPrtry/Prtry"
_PAGINATION = {"Stmt": "StmtPgntn", "Rpt": "RptPgntn", "Ntfctn": "NtfctnPgntn"}


class Frame:
    """One <Stmt>, <Rpt> or <Ntfctn> while its entries pass by: counts and sums, never the entries themselves."""

    def __init__(self, number: int, record: Record, *, paged: bool) -> None:
        self.number = number
        self.record = record
        self.balances: list[Record] = []
        self.totals: list[ControlTotal] = []
        self.entries = 0
        self._paged = paged
        self._booked: dict[str, int] = {}
        self._credits, self._debits = [0, 0], [0, 0]
        self._currency = ""

    def count(self, head: EntryHead) -> None:
        """One more entry has ended."""
        self._currency = self._currency or head.currency
        side = self._credits if head.amount_minor >= 0 else self._debits
        side[0] += 1
        side[1] += abs(head.amount_minor)
        if head.status in BOOKED:
            self._booked[head.currency] = self._booked.get(head.currency, 0) + head.amount_minor

    def close(self, message: str) -> Iterator[Event]:
        """The statement; before it the sums that a report without entries states per participant."""
        position = Position(self.record.line, f"{self.record.name}[{self.number + 1}]")
        try:
            sums = [one for one in self.balances if _PARTICIPANT in one.fields and _sub_type(one)]
            balances = [self._balance(one) for one in self.balances if one not in sums]
            currency = self.record.first("Acct/Ccy") or self._currency or (balances[0].currency if balances else "")
            lines = [] if self.entries else [self._participant_line(one, message, position) for one in sums]
            yield from lines
            yield self._statement(currency, balances, sum(line.amount_minor for line in lines), bool(lines))
        except Refused as refusal:
            yield BadLine(position, str(refusal))

    def _statement(self, currency: str, balances: list[Balance], participants: int, has_lines: bool) -> Statement:
        opening, closing = _ends(balances, currency)
        moved = participants + self._booked.get(currency, 0)
        proven = self.entries or has_lines or self.record.name == "Stmt"
        totals = balance_proof(opening, closing, moved) if proven else []
        others = sorted(set(self._booked) - {currency})
        return Statement(
            number=self.number,
            account=account(self.record, "Acct"),
            currency=currency,
            opening_minor=opening,
            closing_minor=closing,
            control_totals=[*totals, *self._summary(currency), *self.totals],
            identification=self.record.first("Id"),
            from_date=day_of(self.record, "FrToDt/FrDtTm", "FrToDt/FrDt"),
            to_date=day_of(self.record, "FrToDt/ToDtTm", "FrToDt/ToDt"),
            balances=balances,
            warnings=[f"entries in {', '.join(others)} do not count in the balance in {currency}"] if others else [],
        )

    def _balance(self, record: Record) -> Balance:
        """A balance without an indicator is a credit: that is how the banks that leave it out mean it."""
        stated = amount(record, "Amt", self.record.first("Acct/Ccy"))
        if stated is None:
            raise Refused(Reason.FIELD, "a balance without an amount (Amt)")
        code = record.first("Tp/CdOrPrtry/Cd", _PARTICIPANT, "Tp/Cd", "Tp/Prtry")
        return Balance(code, stated[0] * sign(record.first("CdtDbtInd") or "CRDT"), stated[1], day_of(record, "Dt"))

    def _participant_line(self, record: Record, message: str, position: Position) -> Line:
        """What went to or came from one participant on the day: CENTROlink's report has these instead of entries."""
        total = self._balance(record)
        return Line(
            statement=self.number,
            amount_minor=total.amount_minor,
            currency=total.currency,
            booking_date=total.date,
            value_date=None,
            references={"participant": total.code, "participant_account": _sub_type(record)},
            description="",
            position=Position(record.line, f"{position.element}/Bal[{self.balances.index(record) + 1}]"),
            type=f"{message}.participant_sum",
        )

    def _summary(self, currency: str) -> Iterator[ControlTotal]:
        """Counts and sums of <TxsSummry>; of one page of several they say nothing."""
        from reconciliation.statements.iso20022.camt import is_page

        if self._paged or is_page(self.record, _PAGINATION[self.record.name]):
            return
        both = [self._credits[0] + self._debits[0], self._credits[1] + self._debits[1]]
        for name, actual in (("TtlNtries", both), ("TtlCdtNtries", self._credits), ("TtlDbtNtries", self._debits)):
            count, total = (self.record.first(f"TxsSummry/{name}/{part}") for part in ("NbOfNtries", "Sum"))
            if count.isdecimal():
                yield ControlTotal(f"{name}.NbOfNtries", int(count), actual[0])
            if total and currency:
                net = total == self.record.first(f"TxsSummry/{name}/TtlNetNtry/Amt")  # Wise states the net as the sum
                moved = abs(self._credits[1] - self._debits[1]) if net else actual[1]
                yield ControlTotal(f"{name}.Sum", abs(minor(total, currency)), moved)


def _sub_type(record: Record) -> str:
    return record.first("Tp/SubTp/Prtry", "Tp/SubTp/Cd")


def _ends(balances: list[Balance], currency: str) -> tuple[int | None, int | None]:
    """Opening and closing balance in a currency."""
    own = [one for one in balances if one.currency == currency]
    by_code = {one.code: one.amount_minor for one in reversed(own)}
    interim = [one.amount_minor for one in own if one.code == "ITBD"]
    opening = by_code.get("OPBD", by_code.get("PRCD"))
    closing = by_code.get("CLBD")
    if opening is None and interim and (len(interim) > 1 or closing is not None):
        opening = interim.pop(0)
    if closing is None and interim:
        closing = interim[-1]
    if opening is None:
        opening = by_code.get("OPAV")
    if closing is None:
        closing = by_code.get("CLAV", by_code.get("INFO"))
    return opening, closing
