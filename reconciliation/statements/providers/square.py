"""Square: the answers of ListPayoutEntries and ListPayouts, saved as JSON → lines and statements.

Square has no file; `payout_entries` (gross, fee, net in minor units) are the movements of a payout, `payouts` what
went to the bank. A statement is a payout.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from reconciliation.statements.lines import BadLine, Event, Line, Position, Statement, stated_references
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source
from reconciliation.statements.values import day, exponent_of

JSON_BYTES_MAX = 64 << 20
"""A page of the API has 100 entries, ~50 kB; many pages in one file still fit."""


class Money(msgspec.Struct, frozen=True):
    """Minor units of a currency, as Square's API has them; its own examples of payouts say currency_code."""

    amount: int
    currency: str = ""
    currency_code: str = ""

    @property
    def code(self) -> str:
        return self.currency or self.currency_code


class Entry(msgspec.Struct, frozen=True):
    """A movement of a payout; of its details only the identifications are read."""

    id: str
    payout_id: str
    type: str
    gross_amount_money: Money
    fee_amount_money: Money
    net_amount_money: Money
    effective_at: str = ""


class Payout(msgspec.Struct, frozen=True):
    """What went to the bank."""

    id: str
    amount_money: Money
    status: str = ""
    location_id: str = ""
    created_at: str = ""
    arrival_date: str = ""
    end_to_end_id: str = ""


class Answer(msgspec.Struct, frozen=True):
    """A saved answer: one of the two lists, or both; or a payout alone."""

    payout_entries: list[dict[str, Any]] | None = None
    payouts: list[Payout] | None = None
    payout: Payout | None = None


def parse_square(source: Source) -> Iterator[Event]:
    """Events of a saved answer. Raises Refused."""
    if source.size > JSON_BYTES_MAX:
        raise Refused(Reason.TOO_LARGE, f"a JSON file of more than {JSON_BYTES_MAX >> 20} MiB is not read")
    try:
        answer = msgspec.json.decode(source.path.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=Answer)
        entries = [(one, msgspec.convert(one, Entry)) for one in answer.payout_entries or []]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if b"payout" not in source.head:
            raise Refused(Reason.UNKNOWN_FORMAT, "the JSON has neither payout_entries nor payouts") from None
        raise Refused(
            Reason.STRUCTURE, f"the file is no list of payouts or payout entries of Square: {error}"
        ) from None
    payouts = answer.payouts if answer.payout is None else [answer.payout, *(answer.payouts or [])]
    if answer.payout_entries is None and payouts is None:
        raise Refused(Reason.UNKNOWN_FORMAT, "the JSON has neither payout_entries nor payouts")
    yield from _entries(entries)
    first = len({one.payout_id for _, one in entries})
    for number, payout in enumerate(payouts or [], start=first):
        yield from _payout(payout, number)


def _entries(entries: list[tuple[dict[str, Any], Entry]]) -> Iterator[Event]:
    numbers: dict[str, int] = {}
    frames: dict[str, Statement] = {}
    for place, (details, entry) in enumerate(entries, start=1):
        number = numbers.setdefault(entry.payout_id, len(numbers))
        position = Position(element=f"payout_entries[{place}]")
        try:
            yield _entry_line(details, entry, number, position)
        except Refused as refusal:
            yield BadLine(position, str(refusal))
            continue
        frames.setdefault(entry.payout_id, _frame(number, entry.payout_id, entry.net_amount_money.code))
    yield from frames.values()


def _entry_line(details: dict[str, Any], entry: Entry, number: int, position: Position) -> Line:
    net, gross, fee = entry.net_amount_money, entry.gross_amount_money, entry.fee_amount_money
    exponent_of(net.code)
    if gross.code != net.code or net.amount not in {gross.amount - fee.amount, gross.amount + fee.amount}:
        raise Refused(Reason.CONTROL_TOTAL, f"gross {gross.amount} and fee {fee.amount} do not give net {net.amount}")
    own = next((value for name, value in details.items() if name.startswith("type_") and isinstance(value, dict)), {})
    return Line(
        statement=number,
        amount_minor=net.amount,
        currency=net.code,
        booking_date=day(entry.effective_at) if entry.effective_at else None,
        value_date=None,
        references=stated_references({"entry_id": entry.id, "payout_id": entry.payout_id} | own),
        description="",
        position=position,
        type=entry.type,
        gross_minor=gross.amount,
        fee_minor=gross.amount - net.amount,
    )


def _payout(payout: Payout, number: int) -> Iterator[Event]:
    position = Position(element=f"payouts[{payout.id}]")
    try:
        exponent_of(payout.amount_money.code)
        created = day(payout.created_at) if payout.created_at else None
        yield Line(
            statement=number,
            amount_minor=-payout.amount_money.amount,
            currency=payout.amount_money.code,
            booking_date=created,
            value_date=day(payout.arrival_date) if payout.arrival_date else created,
            references=stated_references({"payout_id": payout.id, "end_to_end_id": payout.end_to_end_id}),
            description=payout.status,
            position=position,
            type="PAYOUT",
            status="INFO" if payout.status == "FAILED" else "",
        )
    except Refused as refusal:
        yield BadLine(position, str(refusal))
        return
    yield _frame(number, payout.location_id or payout.id, payout.amount_money.code)


def _frame(number: int, account: str, currency: str) -> Statement:
    return Statement(
        number=number, account=account, currency=currency, opening_minor=None, closing_minor=None, control_totals=[]
    )
