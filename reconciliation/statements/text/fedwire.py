"""Fedwire's own messages before ISO 20022 (FAIM 3.0): tags like {2000} with their texts → a line a message.

A message between banks has no side: its amount is positive, its "account" is the bank that sends it (ABA number).
Elements are as wide as the format says, or end with an asterisk. Source: Fedwire Funds Service Format Reference Guide.
"""

import re
from collections.abc import Iterator

from reconciliation.statements.lines import BadLine, Event, Line, Position, Statement, stated_references
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source, text_lines
from reconciliation.statements.values import implied_minor, short_day

_TAG = re.compile(r"\{(\d{4})\}([^{]*)")
_SENDER_SUPPLIED, _TYPE, _IMAD, _AMOUNT, _SENDER, _RECEIVER = "1500", "1510", "1520", "2000", "3100", "3400"
_NEEDED = {_IMAD: "IMAD", _AMOUNT: "amount", _SENDER: "sender", _RECEIVER: "receiver"}
_REVERSALS = frozenset({"02", "08"})
"""Subtypes that take back a transfer of this day, or of an earlier one."""
_COLUMNS = 35
_TAGS_MAX = 200


class _Message:
    """The tags of one message."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.tags: dict[str, str] = {}

    def elements(self, tag: str) -> list[str]:
        """The elements of a tag of lines, whichever way they are told apart."""
        text = self.tags.get(tag, "")
        parts = text.split("*") if "*" in text else [text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS)]
        return [part.strip() for part in parts]

    def first(self, tag: str) -> str:
        """The first element of a tag; empty where there is none."""
        return next(iter(self.elements(tag)), "")

    def bank(self, tag: str) -> str:
        return self.tags[tag][:9].strip()

    def party(self, tag: str) -> tuple[str, str]:
        """Identification and name of a party; the identification begins with a letter or digit for its kind."""
        identification, name, *_ = [*self.elements(tag), "", ""]
        return identification[1:], name


def _line(message: _Message, statement: int, position: Position) -> Line:
    missing = [f"{name} ({{{tag}}})" for tag, name in _NEEDED.items() if not message.tags.get(tag, "").strip()]
    if missing:
        raise Refused(Reason.STRUCTURE, f"the message has no {', '.join(missing)}")
    kind = message.tags.get(_TYPE, "").strip()
    account, beneficiary = message.party("4200")
    return Line(
        statement=statement,
        amount_minor=implied_minor(message.tags[_AMOUNT].strip()),
        currency="USD",
        booking_date=None,
        value_date=short_day(message.tags[_IMAD][:8]),
        references=stated_references(
            {
                "imad": message.tags[_IMAD].strip(),
                "sender_reference": message.first("3320"),
                "previous_imad": message.tags.get("3500", ""),
                "creditor_agent": message.bank(_RECEIVER),
                "creditor_account": account,
                "beneficiary_reference": message.first("4320"),
            }
        ),
        description=" ".join(filter(None, message.elements("6000"))),
        position=position,
        type=f"{kind} {message.tags.get('3600', '')[:3]}".strip(),
        status="INFO",
        counterparty=beneficiary,
        reversal=kind[2:] in _REVERSALS,
    )


def _messages(source: Source) -> Iterator[_Message]:
    """One message after the other. What the Reserve Banks append (11xx) stands before or behind: it is not needed."""
    message: _Message | None = None
    for number, text in text_lines(source):
        for tag, value in _TAG.findall(text):
            begins = tag == _SENDER_SUPPLIED or (tag == _TYPE and (message is None or _TYPE in message.tags))
            if begins:
                if message is not None:
                    yield message
                message = _Message(number)
            if message is not None and len(message.tags) < _TAGS_MAX:
                message.tags.setdefault(tag, value)
    if message is not None:
        yield message


def parse_fedwire(source: Source) -> Iterator[Event]:
    """Events of a file of messages: a statement for each bank that sends. Raises Refused."""
    senders: dict[str, int] = {}
    for place, message in enumerate(_messages(source), start=1):
        position = Position(message.line, f"message[{place}]")
        sender = message.tags.get(_SENDER, "")[:9].strip()
        try:
            line = _line(message, senders.get(sender, len(senders)), position)
        except Refused as refusal:
            yield BadLine(position, str(refusal))
            continue
        senders.setdefault(sender, len(senders))
        yield line
    for sender, number in senders.items():
        yield Statement(
            number=number, account=sender, currency="USD", opening_minor=None, closing_minor=None, control_totals=[]
        )
