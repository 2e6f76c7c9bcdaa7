"""SWIFT MT940 and MT942 → lines and statements. One message at a time; its fields are read by the library mt-940.

Ours: the cut between messages with the line number of each :61:, the dialects that the library keeps beside its
standard (ASNB, GLS) tried in order, amounts in minor units, and the proof opening + movements = closing. A statement
whose closing balance (:62F: or :62M:) is not there has been cut off: its totals do not agree.
"""

import logging
import re
from collections.abc import Iterator
from datetime import date
from typing import Any, ClassVar, NamedTuple

from mt940.models import Amount, Transactions
from mt940.options import Options
from mt940.tags import Statement as StatementLine
from mt940.tags import StatementASNB, StatementGLS, StatementNumber, Tag

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
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source, text_lines
from reconciliation.statements.values import minor

logging.getLogger("mt940").setLevel(logging.CRITICAL)
"""The library tells at length of each dialect that does not fit; what none reads is told in the refusal."""

MESSAGE_CHARS_MAX = 64 << 20
"""SWIFT allows 2,000 characters a message; banks that join a day into one reach some megabytes."""

_TAG = re.compile(r"^\s?:(\d\d[A-Z]?|NS):")
_END = re.compile(r"-\}|-\s*$|\{5:")
_BLANK_TYPE = re.compile(r"(:61:\d{6}(?:\d{4})?R?[DC][A-Z]?[\d,]+) (?=[A-Z])")
"""A blank between the amount and the type, which the library takes for the beginning of a reference."""
_MOVEMENT, _WORDS_TAG = "61", "86"
_OF_A_MOVEMENT = ("61", "86", "NS")
_OPENING = ("final_opening_balance", "intermediate_opening_balance", "opening_balance")
_CLOSING = ("final_closing_balance", "intermediate_closing_balance", "closing_balance")
_FLOOR_LIMITS = ("d_floor_limit", "c_floor_limit")
_OTHERS = ("available_balance", "forward_available_balance")
_REFERENCES = {
    "customer_reference": "customer_reference",
    "bank_reference": "bank_reference",
    "end_to_end_reference": "end_to_end_id",
    "mandate_reference": "mandate_id",
    "creditor_id": "creditor_id",
    "applicant_iban": "counterparty_account",
    "applicant_bin": "counterparty_bank",
}
_TYPES = ("id", "transaction_code", "posting_text")
_WORDS = ("purpose", "additional_purpose", "transaction_details", "extra_details")


class _AnyNumber(StatementNumber):
    """:28C: of banks that write anything there; nothing depends on it."""

    pattern: ClassVar[str] = r"(?P<statement_number>[^/]*)/?(?P<sequence_number>.*)$"


_NO_TYPE = " "


class _EachIsOne(StatementLine):
    """:61: where one without a type is a movement, too: the library takes the next one for its continuation.

    The names of the classes below matter: the library makes "statement" of them and by it finds what mends February 30.
    """

    def __call__(self, transactions: Transactions, value: dict[str, Any]) -> dict[str, object]:
        """The fields of the movement."""
        fields = super().__call__(transactions, value)
        fields["id"] = fields.get("id") or _NO_TYPE
        return fields


class _Statement61(_EachIsOne):
    """:61: of the standard. References may be longer: up to the "//" between them, and to the end of the line."""

    pattern: ClassVar[str] = r"""^
    (?P<year>\d{2})(?P<month>\d{2})(?P<day>\d{2})
    (?P<entry_month>\d{2}|\s{2})?(?P<entry_day>\d{2}|\s{2})?
    (?P<status>R?[DC])(?P<funds_code>[A-Z])?[\n ]?
    (?P<amount>[\d,]{1,15})
    (?P<id>[A-Z][A-Z0-9 ]{3})?
    (?P<customer_reference>(?:(?!//)[^\n]){0,35}(?=//)|(?:(?!//)[^\n]){0,16})
    (?://(?P<bank_reference>[^\n]{0,35}))?
    (?:\n?(?P<extra_details>.*))?$"""


class _Statement61ASNB(_EachIsOne, StatementASNB):
    """:61: with an IBAN as the reference."""


class _Statement61GLS(_EachIsOne, StatementGLS):
    """:61: with a reference of any length."""


class _Statement61LOOSE(_EachIsOne):
    """:61: of banks that leave out the type or write longer references than the standard allows."""

    pattern: ClassVar[str] = r"""^
    (?P<year>\d{2})(?P<month>\d{2})(?P<day>\d{2})
    (?P<entry_month>\d{2})?(?P<entry_day>\d{2})?[ ]{0,4}
    (?P<status>R?[DC])(?P<funds_code>[A-Z])?[\n ]?
    (?P<amount>[\d,]{1,18})
    (?P<id>[A-Z][A-Z0-9 ]{3})?
    (?P<customer_reference>(?:(?!//)[^\n])*)
    (?://(?P<bank_reference>[^\n]*))?
    (?P<extra_details>(?:\n[^\n]*)*)$"""


_DIALECTS: tuple[dict[int | str, Tag], ...] = tuple(
    {StatementNumber.id: _AnyNumber(), StatementLine.id: line()}
    for line in (_Statement61, _Statement61ASNB, _Statement61GLS, _Statement61LOOSE)
)


class _Message(NamedTuple):
    """One message: its text, where it begins, the lines of its movements."""

    text: str
    line: int
    movements: list[int]


def parse_mt940(source: Source) -> Iterator[Event]:
    """Events of a file of messages. Raises Refused."""
    number = 0
    for message in _messages(source):
        try:
            transactions = _read(message)
            if not _is_statement(transactions):
                continue
            yield from _events(transactions, message, number)
        except Refused as refusal:
            yield BadLine(Position(message.line), str(refusal))
        number += 1
    if not number:
        raise Refused(
            Reason.NO_STATEMENT, "no message with a balance (:60F: and on) or a movement (:61:) is in the file"
        )


def _messages(source: Source) -> Iterator[_Message]:
    """The file cut before each :20: and each basic header block."""
    kept: list[str] = []
    start, size, movements, has_reference, ended, last = 1, 0, list[int](), False, False, ""
    for number, text in text_lines(source):
        new_block = text.startswith("{1:")
        line = text.partition("{4:")[2] if new_block else text
        tag = _TAG.match(line)
        begins = bool(tag and tag[1] == "20")
        if (begins and has_reference) or new_block:
            yield _Message("\n".join(kept), start, movements)
            kept, start, size, movements, has_reference = [], number, 0, [], False
        has_reference = has_reference or begins
        if tag and tag[1] == _MOVEMENT:
            movements.append(number)
            line = _BLANK_TYPE.sub(r"\1", line.lstrip())
        size += len(line) + 1
        if size > MESSAGE_CHARS_MAX:
            raise Refused(
                Reason.TOO_LARGE, f"the message from line {start} on has more than {MESSAGE_CHARS_MAX:,} characters"
            )
        if tag and not (tag[1] == _WORDS_TAG and last not in _OF_A_MOVEMENT):
            last, ended = tag[1], False
        elif tag or _END.match(line):  # :86: behind a balance is about the statement, not the last movement
            ended = True
        if not ended:  # between messages some banks write their name and "940"
            kept.append(line.lstrip() if tag else line)
    yield _Message("\n".join(kept), start, movements)


def _read(message: _Message) -> Transactions:
    """A message by the first dialect that reads it. Raises Refused with what the standard says of it."""
    fault = ""
    for dialect in _DIALECTS:
        transactions = Transactions(tags=dict(dialect), options=Options.all())
        try:
            transactions.parse(message.text)
        except (RuntimeError, ValueError, ArithmeticError, TypeError, KeyError, AttributeError) as error:
            fault = fault or _fault(error)
        else:
            return transactions
    raise Refused(Reason.FIELD, f"the message from line {message.line} on can't be read: {fault[:200]}")


def _fault(error: Exception) -> str:
    """What the library can't read: the tag and what it has."""
    match error.args:
        case (str(), Tag() as tag, str() as value):
            return f":{tag.id}: has {value.splitlines()[0] if value else 'nothing'!r}"
    return str(error) or type(error).__name__


def _is_statement(transactions: Transactions) -> bool:
    return bool(transactions.transactions) or any(name in transactions.data for name in _OPENING)


def _events(transactions: Transactions, message: _Message, number: int) -> Iterator[Event]:
    """The lines of a message, and their statement."""
    currency = transactions.currency
    if currency is None:
        raise Refused(Reason.CURRENCY, f"the message from line {message.line} on has no balance, so no currency")
    moved = credits_, debits = [0, 0], [0, 0]
    places = [*message.movements, *[message.line] * len(transactions.transactions)]
    for transaction, place in zip(transactions.transactions, places, strict=False):
        try:
            line = _line(transaction.data, currency, number, Position(place))
        except Refused as refusal:
            yield BadLine(Position(place), str(refusal))
            continue
        side = credits_ if line.amount_minor >= 0 else debits
        side[0] += 1
        side[1] += line.amount_minor
        yield line
    yield _statement(transactions.data, currency, number, sum(side[1] for side in moved), (credits_, debits))


def _line(fields: dict[str, Any], currency: str, statement: int, position: Position) -> Line:
    if not isinstance(fields.get("amount"), Amount):
        raise Refused(Reason.FIELD, "a movement without an amount")
    value_date: date | None = fields.get("date")
    entry_date: date | None = fields.get("entry_date") or value_date
    words = " ".join(str(fields[name]) for name in _WORDS if fields.get(name))
    return Line(
        statement=statement,
        amount_minor=minor(f"{fields['amount'].amount:f}", currency),
        currency=currency,
        booking_date=entry_date.isoformat() if entry_date else None,
        value_date=value_date.isoformat() if value_date else None,
        references=stated_references({name: fields.get(key) for key, name in _REFERENCES.items()}),
        description=" ".join(words.split()),
        position=position,
        type=" ".join(words for name in _TYPES if (words := str(fields.get(name) or "").strip())),
        counterparty=str(fields.get("applicant_name") or ""),
        reversal=str(fields.get("status", "")).upper() in {"RC", "RD"},
    )


def _statement(
    fields: dict[str, Any], currency: str, number: int, moved: int, sides: tuple[list[int], list[int]]
) -> Statement:
    opening, closing = _balance(fields, _OPENING), _balance(fields, _CLOSING)
    opening_minor = opening.amount_minor if opening else None
    closing_minor = closing.amount_minor if closing else None
    totals = balance_proof(opening_minor, closing_minor, moved)
    sums = [
        *_sums(fields, "sum_credit_entries", sides[0], currency),
        *_sums(fields, "sum_debit_entries", sides[1], currency),
    ]
    intraday = opening is None and any(name in fields for name in _FLOOR_LIMITS)  # MT942, whose sums are optional
    cut = closing is None and not sums and not intraday
    if cut:
        totals = [ControlTotal("closing_balance_present", 1, 0)]
    balances = [one for name in (*_OPENING, *_CLOSING, *_OTHERS) if (one := _balance(fields, (name,)))]
    return Statement(
        number=number,
        account=str(fields.get("account_identification") or ""),
        currency=currency,
        opening_minor=opening_minor,
        closing_minor=closing_minor,
        control_totals=[*totals, *sums],
        identification="/".join(
            str(fields[key]) for key in ("transaction_reference", "statement_number") if fields.get(key)
        ),
        from_date=opening.date if opening else None,
        to_date=closing.date if closing else None,
        balances=balances,
        warnings=["the closing balance (:62F:) is missing: the message was cut off"] if cut else [],
    )


def _balance(fields: dict[str, Any], names: tuple[str, ...]) -> Balance | None:
    """The first of these balances that the message has."""
    for name in names:
        stated = fields.get(name)
        if stated is not None:
            amount = stated.amount
            return Balance(name, minor(f"{amount.amount:f}", amount.currency), amount.currency, stated.date.isoformat())
    return None


def _sums(fields: dict[str, Any], name: str, side: list[int], currency: str) -> Iterator[ControlTotal]:
    """:90C: and :90D: of MT942: number and sum of the credits and of the debits."""
    stated = fields.get(name)
    if stated is not None:
        yield ControlTotal(f"{name}.count", int(stated.number), side[0])
        yield ControlTotal(name, abs(minor(f"{stated.amount:f}", currency)), abs(side[1]))
