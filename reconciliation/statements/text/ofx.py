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
_QUOTED = re.compile(r"<!\[CDATA\[(.*?)\]\]>|<!--(.*?)-->", re.DOTALL)
_QUOTE_BEGINS = re.compile(r"<!\[CDATA\[|<!--")
_STATEMENTS = frozenset({"STMTRS", "CCSTMTRS", "INVSTMTRS"})
_ACCOUNTS = ("BANKACCTFROM", "CCACCTFROM", "INVACCTFROM")
_MOVEMENTS = {"STMTTRN": "", "STMTTRNP": "PDNG"}
"""A transaction, and one that is not booked yet (OFX 2.2), with their status."""
_GROUPS = frozenset({*_MOVEMENTS, *_ACCOUNTS, "LEDGERBAL", "AVAILBAL"})
_SECURITIES = re.compile(
    "(?:BUY|SELL)(?:DEBT|MF|OPT|OTHER|STOCK)|INCOME|INVEXPENSE|REINVEST|RETOFCAP|MARGININTEREST|JRNL(?:FUND|SEC)"
    "|TRANSFER|SPLIT|CLOSUREOPT"
)


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
            rest = _unquoted(rest + chunk)
            if not chunk and (quote := _QUOTE_BEGINS.search(rest)):
                raise Refused(Reason.STRUCTURE, f"a quotation ({quote[0]}) has no end: the file was cut off or damaged")
            end = _complete_to(rest) if chunk else len(rest)
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


def _unquoted(text: str) -> str:
    """CDATA as text without markup in it, comments as their line ends."""
    if "<!" not in text:
        return text
    return _QUOTED.sub(lambda one: "\n" * one[2].count("\n") if one[1] is None else html.escape(one[1]), text)


def _complete_to(text: str) -> int:
    """Where the last tag begins, or a quotation whose end is still to come."""
    quote = _QUOTE_BEGINS.search(text)
    return text.rfind("<", 0, quote.start() if quote else len(text))


class _Statement:
    """One <STMTRS> while its transactions pass by."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.fields: dict[str, str] = {}
        self.securities = 0
        self._met = ""

    def currency(self, own: str = "") -> str:
        """The currency of a transaction that names its own (CURRENCY), else the statement's, else that of a line."""
        code = (own or self.fields.get("CURDEF") or self._met).upper()
        if not code:
            raise Refused(Reason.CURRENCY, "the statement names no currency (CURDEF)")
        exponent_of(code)
        self._met = self._met or code
        return code


class _Reader:
    """The state of one pass: the open statement, and the open group of fields inside it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._statement: _Statement | None = None
        self._group = ""
        self._fields: dict[str, str] = {}
        self._line = 0
        self._foreign = ""
        self._statements = 0
        self._complete = False
        self._answer = ""

    def events(self) -> Iterator[Event]:
        for token in _tokens(self._source):
            if token.tag.startswith("!"):
                raise _no_markup(token)
            try:
                yield from self._take(token)
            except Refused as refusal:
                yield BadLine(Position(self._line or token.line), str(refusal))
                self._group = ""
        if not self._complete:
            raise Refused(Reason.CUT_OFF, "the end of the file (</OFX>) is missing: the file was cut off")
        if not self._statements:
            answer = f"; the bank answers: {self._answer}" if self._answer else ""
            raise Refused(Reason.NO_STATEMENT, f"the file has no statement (STMTRS, CCSTMTRS) in it{answer}")

    def _take(self, token: _Token) -> Iterator[Event]:
        statement = self._statement
        if token.tag == "/OFX":
            self._complete = True
        elif token.tag in _STATEMENTS:
            self._statement = _Statement(self._statements)
            self._statements += 1
        elif statement is None:
            self._note_answer(token)
        elif token.tag.removeprefix("/") in _STATEMENTS:
            self._statement = None
            self._refuse_open_group()
            yield _frame(statement)
        elif token.tag in _GROUPS:
            self._refuse_open_group()
            self._group, self._fields, self._line, self._foreign = token.tag, {}, token.line, ""
        elif token.tag == f"/{self._group}":
            yield from self._close_group(statement)
        else:
            self._keep(token, statement)

    def _keep(self, token: _Token, statement: _Statement) -> None:
        """A field of the open group, or of the statement itself."""
        if token.text and not token.tag.startswith("/"):
            kept = self._fields if self._group else statement.fields
            if len(kept) < FIELDS_MAX:
                kept.setdefault(self._foreign + token.tag, token.text)
        elif token.tag in {"CURRENCY", "ORIGCURRENCY"}:
            self._foreign = f"{token.tag}."
        elif token.tag in {"/CURRENCY", "/ORIGCURRENCY"}:
            self._foreign = ""
        elif _SECURITIES.fullmatch(token.tag):
            statement.securities += 1

    def _note_answer(self, token: _Token) -> None:
        """What the server said, where it sent no statement: <STATUS> outside of one."""
        if token.tag == "MESSAGE" and token.text:
            self._answer = token.text[:200]

    def _refuse_open_group(self) -> None:
        """A group that goes on where another begins would hide what it had."""
        group, self._group = self._group, ""
        if group:
            raise Refused(Reason.STRUCTURE, f"the <{group}> that begins here has no end (</{group}>)")

    def _close_group(self, statement: _Statement) -> Iterator[Line]:
        group, self._group = self._group, ""
        if group in _MOVEMENTS:
            yield _line(self._fields, statement, Position(self._line), _MOVEMENTS[group])
        else:
            statement.fields |= {f"{group}.{name}": text for name, text in self._fields.items()}


def _no_markup(token: _Token) -> Refused:
    if token.tag.startswith("!DOCTYPE"):
        return Refused(Reason.DOCTYPE, "the file declares a DOCTYPE; OFX has none")
    return Refused(Reason.STRUCTURE, f"line {token.line}: <{token.tag[:20]}> is no element of OFX, or has no end")


def _line(fields: dict[str, str], statement: _Statement, position: Position, status: str) -> Line:
    currency = statement.currency(fields.get("CURRENCY.CURSYM", ""))
    posted = fields.get("DTPOSTED") or fields.get("DTTRAN", "")
    if not posted:
        raise Refused(Reason.DATE, "a transaction without a date (DTPOSTED)")
    valued = fields.get("DTAVAIL") or fields.get("DTUSER") or posted
    return Line(
        statement=statement.number,
        amount_minor=_amount(fields.get("TRNAMT", ""), currency),
        currency=currency,
        booking_date=short_day(posted[:8]),
        value_date=short_day(valued[:8]),
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
        status=status,
        counterparty=fields.get("NAME", "") or fields.get("PAYEE", ""),
        reversal=fields.get("CORRECTACTION", "").upper() == "DELETE",
    )


def _amount(text: str, currency: str) -> int:
    """OFX writes a point or a comma before the decimals and groups no digits; who does has both, the decimals last."""
    both = "," in text and "." in text
    return written_minor(text, currency, "" if both else "," if "," in text else ".")


def _frame(statement: _Statement) -> Statement:
    fields, currency = statement.fields, statement.currency()
    balances = [
        Balance(group, _amount(text, currency), currency, short_day(fields.get(f"{group}.DTASOF", "")[:8]))
        for group in ("LEDGERBAL", "AVAILBAL")
        if (text := fields.get(f"{group}.BALAMT"))
    ]
    account = next((fields[f"{name}.ACCTID"] for name in _ACCOUNTS if f"{name}.ACCTID" in fields), "")
    securities = f"{statement.securities} transactions in securities are no lines: only movements of cash are read"
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
        warnings=[securities] if statement.securities else [],
    )


def parse_ofx(source: Source) -> Iterator[Event]:
    """Events of an OFX file. Raises Refused."""
    return _Reader(source).events()
