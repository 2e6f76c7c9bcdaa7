"""pacs.008, pacs.009, pacs.004 and pain.001 → lines: what is to move, and the sender's control sums.

An order of pain.001 leaves the debtor's account, so it is negative there. A message between banks has no side: its
amounts are positive, its "account" is the bank that sends it. Files of Fedwire may have an envelope around them.
"""

from collections.abc import Iterator

from reconciliation.statements.iso20022.parts import (
    account,
    agent,
    amount,
    day_of,
    reference_slots,
    references,
    remittance,
)
from reconciliation.statements.iso20022.stream import Record, records
from reconciliation.statements.lines import BadLine, ControlTotal, Event, Line, Position, Statement, stated_references
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source
from reconciliation.statements.values import exponent_of, minor

MESSAGES = {
    "FIToFICstmrCdtTrf": "pacs008",
    "FICdtTrf": "pacs009",
    "PmtRtr": "pacs004",
    "CstmrCdtTrfInitn": "pain001",
}
_KINDS = frozenset({"GrpHdr", "PmtInf", "CdtTrfTxInf", "TxInf"})
_AMOUNTS = ("IntrBkSttlmAmt", "RtrdIntrBkSttlmAmt", "Amt/InstdAmt", "Amt/EqvtAmt/Amt")
_SLOTS = reference_slots("PmtId", {})
_DATES = ("IntrBkSttlmDt", "ReqdExctnDt")


class _Group:
    """Payments under one control: a whole message, or one <PmtInf> of pain.001."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.currency = ""
        self.sender = ""
        self.rows = 0
        self._moved: dict[str, int] = {}

    def add(self, magnitude: int, currency: str, sender: str) -> None:
        """One more payment of the group."""
        self.currency = self.currency or currency
        self.sender = self.sender or sender
        self.rows += 1
        self._moved[currency] = self._moved.get(currency, 0) + magnitude

    def controls(self) -> list[ControlTotal]:
        """Count and sum as the sender states them, where it does; the sum is of numbers, whatever their currency."""
        count = self.record.first("NbOfTxs")
        total = self.record.first("CtrlSum", "TtlIntrBkSttlmAmt", "TtlRtrdIntrBkSttlmAmt")
        totals = [ControlTotal(f"{self.record.name}.NbOfTxs", int(count), self.rows)] if count.isdecimal() else []
        if total and self._moved:
            finest = max(self._moved, key=exponent_of)
            moved = sum(sum_ * 10 ** (exponent_of(finest) - exponent_of(one)) for one, sum_ in self._moved.items())
            totals.append(ControlTotal(f"{self.record.name}.CtrlSum", minor(total, finest), moved))
        return totals


class _Reader:
    """One message: its header, then payments, in groups of their own where it is a pain.001."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._header: _Group | None = None
        self._group: _Group | None = None
        self._statements = 0

    def events(self) -> Iterator[Event]:
        waiting: Statement | None = None
        for record in records(self._source, _KINDS):
            if record.name == "GrpHdr":
                self._header = _Group(record)
            elif record.name == "PmtInf":
                if waiting is not None:
                    yield waiting
                waiting = self._close()
            else:
                yield from self._row(record)
        if self._header is None or not self._header.rows:
            raise Refused(Reason.NO_STATEMENT, "the message has no payment in it")
        if self._group is not None:
            waiting = self._close()
        elif waiting is not None:  # the header's control covers all groups, so it is known with the last one
            waiting = _with_totals(waiting, self._header.controls())
        if waiting is not None:
            yield waiting

    def _row(self, record: Record) -> Iterator[Event]:
        if self._header is None:
            raise Refused(Reason.STRUCTURE, "the message has no group header (GrpHdr)")
        batch = record.within("PmtInf")
        if self._group is None:
            self._group = self._header if batch is None else _Group(batch)
        position = Position(record.line, f"group[{self._statements + 1}]/{record.name}[{self._group.rows + 1}]")
        try:
            line = _line(record, self._group.record, self._statements, position)
        except Refused as refusal:
            yield BadLine(position, str(refusal))
            return
        sender = agent(record, "InstgAgt")
        self._header.add(abs(line.amount_minor), line.currency, sender)
        if batch is not None:
            self._group.add(abs(line.amount_minor), line.currency, sender)
        yield line

    def _close(self) -> Statement | None:
        group, self._group = self._group, None
        if group is None:
            return None
        self._statements += 1
        record = group.record
        return Statement(
            number=self._statements - 1,
            account=account(record, "DbtrAcct") or agent(record, "InstgAgt") or group.sender,
            currency=group.currency,
            opening_minor=None,
            closing_minor=None,
            control_totals=group.controls(),
            identification=record.first("PmtInfId", "MsgId"),
            from_date=day_of(record, *_DATES),
        )


def _with_totals(statement: Statement, totals: list[ControlTotal]) -> Statement:
    from msgspec.structs import replace

    return replace(statement, control_totals=[*statement.control_totals, *totals])


def _line(record: Record, group: Record, statement: int, position: Position) -> Line:
    stated = next((one for path in _AMOUNTS if (one := amount(record, path)) is not None), None)
    if stated is None:
        raise Refused(Reason.FIELD, "a payment without an amount")
    magnitude, currency = stated
    creditor_reference, words = remittance(record)
    return Line(
        statement=statement,
        amount_minor=-magnitude if group.name == "PmtInf" else magnitude,
        currency=currency,
        booking_date=None,
        value_date=day_of(record, *_DATES) or day_of(group, *_DATES),
        references=_references(record, group) | stated_references({"creditor_reference": creditor_reference}),
        description=words or record.first("RtrRsnInf/AddtlInf"),
        position=position,
        type=record.first("RtrRsnInf/Rsn/Cd", "PmtTpInf/LclInstrm/Prtry", "PmtTpInf/LclInstrm/Cd"),
        status="INFO",
        counterparty=record.first("Cdtr/Nm", "Cdtr/Pty/Nm", "RtrChain/Cdtr/Pty/Nm", "RtrChain/Cdtr/Nm")
        or agent(record, "Cdtr"),
        reversal=record.name == "TxInf",
        original_amount=_other_currency(record, currency),
    )


def _references(record: Record, group: Record) -> dict[str, str]:
    """Identifications of a payment; those of a returned one are the original's, so that the two meet."""
    first = record.first
    original = {
        "original_message_id": first("OrgnlGrpInf/OrgnlMsgId"),
        "instruction_id": first("OrgnlInstrId"),
        "end_to_end_id": first("OrgnlEndToEndId"),
        "transaction_id": first("OrgnlTxId"),
        "uetr": first("OrgnlUETR"),
        "return_id": first("RtrId"),
        "message_id": group.first("MsgId"),
        "payment_information_id": group.first("PmtInfId"),
        "debtor_agent": agent(record, "DbtrAgt", "InstgAgt"),
        "creditor_agent": agent(record, "CdtrAgt", "InstdAgt"),
        "creditor_account": account(record, "CdtrAcct"),
    }
    return stated_references(original | references(record, _SLOTS, "PmtId"))


def _other_currency(record: Record, currency: str) -> str:
    ordered = record.fields.get("InstdAmt@Ccy", currency)
    return "" if ordered == currency else f"{record.first('InstdAmt')} {ordered}"


def parse_payments(source: Source) -> Iterator[Event]:
    """Events of a pacs or pain.001 message. Raises Refused."""
    return _Reader(source).events()
