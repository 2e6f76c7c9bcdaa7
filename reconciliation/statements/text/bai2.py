"""BAI2 → lines and statements: 01 file, 02 group, 03 account, 16 transaction, 88 continuation, 49/98/99 trailers.

Source: BAI Cash Management Balance Reporting Specifications, version 2. Amounts have the decimals of their currency
implied. The trailers' totals and record counts are the control; that opening + transactions = closing is only warned
about, because banks may report a part of the transactions.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from reconciliation.statements.lines import (
    BadLine,
    Balance,
    ControlTotal,
    Event,
    Line,
    Position,
    Statement,
    stated_references,
)
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source, text_lines
from reconciliation.statements.text.bai2_fields import Amounts, Fields
from reconciliation.statements.values import exponent_of, short_day

CONTINUATIONS_MAX = 10_000
"""Of one record; a memo of a thousand lines is already none."""

_PADDED = re.compile(
    r"/\s{2,}(?=(?:01|02|03|16|49|88|98|99),)"
    r"|/\s(?=03,[^,/]+,[A-Z]{0,3},|16,\d{3,9},[+-]?\d*,|49,[+-]?\d*,\d+/|9[89],[+-]?\d*,\d+,\d+/)"
)
"""Records side by side. One blank is also text ("NO. 3/ 16 MAY"), so behind it a record has to show more of itself."""
_BEGINS = re.compile(r"\d\d\s*[,/]")
_OPENING, _CLOSING = "010", "015"


class _Record(NamedTuple):
    """A logical record: its code, its line, the contents of its physical lines without code and final slash."""

    code: str
    line: int
    parts: list[str]


class _Account:
    """The account being read."""

    def __init__(self, number: str, currency: str, day: str | None) -> None:
        self.number = number
        self.currency = currency
        self.day = day
        self.records = 0
        self.total = 0
        self.moved = 0
        self.lines = 0
        self.balances: list[Balance] = []

    def balance(self, code: str) -> int | None:
        return next((one.amount_minor for one in self.balances if one.code == code), None)


class _Reader:
    """The state of one pass: the open group and account, and the totals that each level adds up."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._physical = 0
        self._account: _Account | None = None
        self._statements = 0
        self._waiting: Statement | None = None
        self._group: dict[str, str | None] | None = None
        self._group_sums = [0, 0, 0]
        self._file_sums = [0, 0]
        self._closed = False

    def events(self) -> Iterator[Event]:
        for record in self._records():
            try:
                yield from self._take(record)
            except Refused as refusal:
                yield BadLine(Position(record.line), str(refusal))
        if not self._closed:
            raise Refused(Reason.CUT_OFF, "the file trailer (99) is missing: the file was cut off")
        if self._waiting is not None:
            yield self._waiting

    def _records(self) -> Iterator[_Record]:
        """Logical records: a physical one and the continuations (88) behind it."""
        record: _Record | None = None
        open_text = False
        for number, text in text_lines(self._source):
            pieces = [piece.strip() for piece in _PADDED.split(text)]
            for place, physical in enumerate(pieces, start=1):
                if not physical:
                    continue
                if open_text and record is not None and not _BEGINS.match(physical):
                    record.parts[-1] += f" {physical.removesuffix('/')}"  # text that its bank broke without an 88
                    open_text = not physical.endswith("/")
                    continue
                code, _, content = physical.partition(",")
                open_text = code.strip() in {"16", "88"} and place == len(pieces) and not content.endswith("/")
                content = content.removesuffix("/")
                if code.strip() == "88" and record is not None:
                    record.parts.append(content)
                    if len(record.parts) > CONTINUATIONS_MAX:
                        raise Refused(Reason.TOO_LARGE, f"line {number}: more than {CONTINUATIONS_MAX:,} continuations")
                    continue
                if record is not None:
                    yield record
                record = _Record(code.strip().removesuffix("/"), number, [content])
        if record is not None:
            yield record

    def _take(self, record: _Record) -> Iterator[Event]:
        self._count(record)
        match record.code:
            case "01":
                self._one_header()
            case "02":
                self._open_group(Fields(record.parts))
            case "03":
                yield from self._open_account(Fields(record.parts), len(record.parts))
            case "16":
                yield self._transaction(Fields(record.parts), record)
            case "49":
                self._close_account(Fields(record.parts))
            case "98":
                self._close_group(Fields(record.parts))
            case "99":
                self._close_file(Fields(record.parts))
            case _:
                raise Refused(Reason.STRUCTURE, f"{record.code[:10]!r} is no record of BAI2")

    def _count(self, record: _Record) -> None:
        """A record and its continuations count at each level that is open."""
        if self._closed:
            raise Refused(Reason.STRUCTURE, f"record {record.code} stands behind the file trailer (99)")
        self._physical += len(record.parts)
        if self._group is not None:
            self._group_sums[2] += len(record.parts)
        if self._account is not None:
            self._account.records += len(record.parts)

    def _one_header(self) -> None:
        if self._physical != 1:
            raise Refused(Reason.STRUCTURE, "a second file header (01)")

    def _open_group(self, fields: Fields) -> None:
        if self._group is not None:
            raise Refused(Reason.STRUCTURE, "a group (02) begins before the trailer (98) of the one before")
        names = ("receiver", "originator", "status", "date", "time", "currency")
        self._group = {name: fields.take() for name in names}
        self._group["date"] = short_day(self._group["date"] or "")
        self._group_sums = [0, 0, 1]

    def _open_account(self, fields: Fields, physical: int) -> Iterator[Statement]:
        if self._group is None or self._account is not None:
            raise Refused(Reason.STRUCTURE, "an account (03) stands outside of a group or inside another account")
        if self._waiting is not None:
            yield self._waiting
            self._waiting = None
        number = fields.take()
        currency = fields.take() or self._group["currency"] or "USD"
        exponent_of(currency)
        account = _Account(number, currency, self._group["date"])
        self._account = account
        account.records = physical
        for code, amount in fields.summaries(Amounts(currency)):
            account.total += amount
            account.balances.append(Balance(code, amount, currency, account.day))

    def _transaction(self, fields: Fields, record: _Record) -> Line:
        account = self._account
        if account is None:
            raise Refused(Reason.STRUCTURE, "a transaction (16) stands outside of an account (03)")
        code = fields.take()
        amount = Amounts(account.currency).read(fields.take())
        value_date = fields.funds()
        bank, customer = fields.reference(), fields.reference()
        sign = direction(code)
        account.total += amount
        account.moved += sign * amount
        account.lines += 1
        return Line(
            statement=self._statements,
            amount_minor=(sign or 1) * amount,
            currency=account.currency,
            booking_date=account.day,
            value_date=value_date or account.day,
            references=stated_references({"bank_reference": bank, "customer_reference": customer}),
            description=fields.rest(),
            position=Position(record.line),
            type=code,
            status="BOOK" if sign else "INFO",
        )

    def _close_account(self, fields: Fields) -> None:
        account = self._account
        if account is None:
            raise Refused(Reason.STRUCTURE, "an account trailer (49) without an account (03)")
        total, records = fields.take(), fields.take()
        opening, closing = account.balance(_OPENING), account.balance(_CLOSING)
        proven = opening is None or closing is None or not account.lines or opening + account.moved == closing
        self._waiting = Statement(
            number=self._statements,
            account=account.number,
            currency=account.currency,
            opening_minor=opening,
            closing_minor=closing,
            control_totals=[
                *_stated("49.total", total, account.total),
                *_stated("49.records", records, account.records),
            ],
            from_date=account.day,
            to_date=account.day,
            balances=account.balances,
            warnings=[] if proven else ["the transactions listed do not lead from the opening to the closing balance"],
        )
        self._group_sums[0] += Amounts(account.currency).read(total) if total.strip() else 0
        self._group_sums[1] += 1
        self._statements += 1
        self._account = None

    def _close_group(self, fields: Fields) -> None:
        if self._group is None or self._account is not None:
            raise Refused(Reason.STRUCTURE, "a group trailer (98) without a group (02), or inside an account")
        total, accounts, records = fields.take(), fields.take(), fields.take()
        self._attach(
            "98", ((total, self._group_sums[0]), (accounts, self._group_sums[1]), (records, self._group_sums[2]))
        )
        self._file_sums[0] += Amounts("").read(total) if total.strip() else 0
        self._file_sums[1] += 1
        self._group = None

    def _close_file(self, fields: Fields) -> None:
        if self._group is not None:
            raise Refused(Reason.STRUCTURE, "the file trailer (99) stands inside a group")
        total, groups, records = fields.take(), fields.take(), fields.take()
        self._attach("99", ((total, self._file_sums[0]), (groups, self._file_sums[1]), (records, self._physical)))
        self._closed = True

    def _attach(self, code: str, pairs: tuple[tuple[str, int], ...]) -> None:
        """The totals of a group or file go with the last account before them."""
        if self._waiting is None:
            return
        names = ("total", "members", "records")
        more = [
            one
            for name, (text, actual) in zip(names, pairs, strict=True)
            for one in _stated(f"{code}.{name}", text, actual)
        ]
        self._waiting = replace(self._waiting, control_totals=[*self._waiting.control_totals, *more])


def _stated(name: str, text: str, actual: int) -> list[ControlTotal]:
    """A total, where the trailer states it: banks leave it blank for accounts without amounts."""
    return [ControlTotal(name, Amounts("").read(text), actual)] if text.strip() else []


def direction(code: str) -> int:
    """+1 for a credit, −1 for a debit, 0 for information. Codes of nine digits have the three of BAI first or last.

    100–399 and 920–959 are credits, 400–699 and 960–999 debits; loans (7xx) and 890 move no ledger balance.
    """
    if not code.isdecimal():
        raise Refused(Reason.FIELD, f"{code[:20]!r} is no type code")
    number = int(code) if len(code) <= 3 or int(code) < 1_000 else int(code[:3])
    if 100 <= number <= 399 or 920 <= number <= 959:
        return 1
    return -1 if 400 <= number <= 699 or 960 <= number <= 999 else 0


def parse_bai2(source: Source) -> Iterator[Event]:
    """Events of a BAI2 file. Raises Refused."""
    return _Reader(source).events()
