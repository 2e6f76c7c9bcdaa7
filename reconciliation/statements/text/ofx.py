"""OFX 1.x (SGML, leaves without end tags) and 2.x (XML) → lines and statements, token by token.

Source: OFX specification 1.6 and 2.2, chapters 11 (bank and credit card statements). The ledger balance is the closing
one; OFX states no opening balance, so there is no proof.
"""

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from reconciliation.statements.lines import (
    BadLine,
    Balance,
    Event,
    Line,
    Position,
    Statement,
    stated_references,
)
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source, refuse_nul
from reconciliation.statements.values import exponent_of, short_day, written_minor

CHUNK_CHARS = 1 << 16
TOKEN_CHARS_MAX = 1 << 20
FIELDS_MAX = 500
_TOKEN = re.compile(r"<([^<>]*)>([^<]*)")
_STATEMENTS = frozenset({"STMTRS", "CCSTMTRS", "INVSTMTRS"})
_GROUPS = frozenset({"STMTTRN", "LEDGERBAL", "AVAILBAL", "BANKACCTFROM", "CCACCTFROM", "INVACCTFROM"})


class _Token(NamedTuple):
    tag: str
    text: str
    line: int


def _tokens(source: Source) -> Iterator[_Token]:
    """Tags and the text behind each, across the borders of chunks. Raises Refused."""
    refuse_nul(source)
    line, rest = 1, ""
    with source.path.open("r", encoding=source.encoding, errors="replace", newline=None) as stream:
        while True:
            chunk = stream.read(CHUNK_CHARS)
            rest += chunk
            end = rest.rfind("<") if chunk else len(rest)
            if len(rest) - max(end, 0) > TOKEN_CHARS_MAX:
                raise Refused(Reason.TOO_LARGE, f"line {line}: one field has more than {TOKEN_CHARS_MAX:,} characters")
            place = 0
            for match in _TOKEN.finditer(rest, 0, max(end, 0)):
                line += rest.count("\n", place, match.start())
                place = match.start()
                yield _Token(match[1].strip().upper(), html.unescape(match[2]).strip(), line)
            line += rest.count("\n", place, max(end, 0))
            rest = rest[max(end, 0) :]
            if not chunk:
                return


class _Statement:
    """One <STMTRS> while its transactions pass by."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.fields: dict[str, str] = {}

    def currency(self) -> str:
        code = self.fields.get("CURDEF", "").upper()
        exponent_of(code)
        return code


class _Reader:
    """The state of one pass: the open statement, and the open group of fields inside it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._statement: _Statement | None = None
        self._group = ""
        self._fields: dict[str, str] = {}
        self._line = 0
        self._statements = 0
        self._complete = False

    def events(self) -> Iterator[Event]:
        for token in _tokens(self._source):
            if token.tag.startswith("!"):
                raise Refused(Reason.DOCTYPE, "the file declares a DOCTYPE; OFX has none")
            try:
                yield from self._take(token)
            except Refused as refusal:
                yield BadLine(Position(self._line or token.line), str(refusal))
                self._group = ""
        if not self._complete:
            raise Refused(Reason.CUT_OFF, "the end of the file (</OFX>) is missing: the file was cut off")
        if not self._statements:
            raise Refused(Reason.NO_STATEMENT, "the file has no statement (STMTRS, CCSTMTRS) in it")

    def _take(self, token: _Token) -> Iterator[Event]:
        statement = self._statement
        if token.tag == "/OFX":
            self._complete = True
        elif token.tag in _STATEMENTS:
            self._statement = _Statement(self._statements)
            self._statements += 1
        elif statement is None:
            return
        elif token.tag.removeprefix("/") in _STATEMENTS:
            self._statement = None
            yield _frame(statement)
        elif token.tag in _GROUPS:
            self._group, self._fields, self._line = token.tag, {}, token.line
        elif token.tag == f"/{self._group}":
            group, self._group = self._group, ""
            if group == "STMTTRN":
                yield _line(self._fields, statement, Position(self._line))
            else:
                statement.fields |= {f"{group}.{name}": text for name, text in self._fields.items()}
        elif token.text and not token.tag.startswith("/"):
            kept = self._fields if self._group else statement.fields
            if len(kept) < FIELDS_MAX:
                kept.setdefault(token.tag, token.text)


def _line(fields: dict[str, str], statement: _Statement, position: Position) -> Line:
    currency = statement.currency()
    if "DTPOSTED" not in fields:
        raise Refused(Reason.DATE, "a transaction without a date (DTPOSTED)")
    user_day = fields.get("DTUSER") or fields.get("DTAVAIL", "")
    return Line(
        statement=statement.number,
        amount_minor=_amount(fields.get("TRNAMT", ""), currency),
        currency=currency,
        booking_date=short_day(fields["DTPOSTED"][:8]),
        value_date=short_day((user_day or fields["DTPOSTED"])[:8]),
        references=stated_references(
            {
                "fitid": fields.get("FITID", ""),
                "check_number": fields.get("CHECKNUM", ""),
                "reference_number": fields.get("REFNUM", ""),
                "server_id": fields.get("SRVRTID", ""),
                "corrects": fields.get("CORRECTFITID", ""),
            }
        ),
        description=fields.get("MEMO", ""),
        position=position,
        type=fields.get("TRNTYPE", ""),
        counterparty=fields.get("NAME", "") or fields.get("PAYEE", ""),
        reversal=fields.get("CORRECTACTION", "").upper() == "DELETE",
    )


def _amount(text: str, currency: str) -> int:
    """OFX writes a point or a comma before the decimals, and never groups digits."""
    return written_minor(text, currency, "," if "," in text and "." not in text else ".")


def _frame(statement: _Statement) -> Statement:
    fields, currency = statement.fields, statement.currency()
    balances = [
        Balance(group, _amount(text, currency), currency, short_day(fields.get(f"{group}.DTASOF", "")[:8]))
        for group in ("LEDGERBAL", "AVAILBAL")
        if (text := fields.get(f"{group}.BALAMT"))
    ]
    account = next((fields[f"{name}.ACCTID"] for name in sorted(_GROUPS) if f"{name}.ACCTID" in fields), "")
    return Statement(
        number=statement.number,
        account=account,
        currency=currency,
        opening_minor=None,
        closing_minor=next((one.amount_minor for one in balances if one.code == "LEDGERBAL"), None),
        control_totals=[],
        from_date=short_day(fields.get("DTSTART", "")[:8]),
        to_date=short_day(fields.get("DTEND", "")[:8]),
        balances=balances,
    )


def parse_ofx(source: Source) -> Iterator[Event]:
    """Events of an OFX file. Raises Refused."""
    return _Reader(source).events()
