"""One entry and its addenda → a line. Checks the codes that say what it is: an entry with a wrong one is not booked."""

from collections.abc import Callable

from reconciliation.statements.lines import Line, Position, stated_references
from reconciliation.statements.nacha.records import Record
from reconciliation.statements.nacha.rules import (
    ADDENDA_TYPES,
    CHANGE_CODES,
    CONTESTED,
    COUNTED_ADDENDA,
    DISHONOURED,
    IAT_MANDATORY,
    IAT_TRANSACTION_TYPES,
    RETURN_CODES,
    REVERSAL,
    TRANSACTION_CODES,
    is_credit,
    routing_number_is_valid,
)
from reconciliation.statements.refusals import Reason, Refused

ADDENDA_MAX = 9_999
"""CTX and ENR count their addenda in four columns."""


class Entry:
    """An entry detail record (6) while its addenda (7) pass by.

    `kind` is its standard entry class, `purpose` what the company says of the batch ("PAYROLL", "REVERSAL").
    """

    def __init__(self, record: Record, kind: str, purpose: str = "") -> None:
        self.record = record
        self.kind = kind
        self.purpose = purpose
        self.code = record.one_of(2, 3, "transaction code", TRANSACTION_CODES)
        self.routing = record.field(4, 12)
        if not routing_number_is_valid(self.routing):
            raise Refused(Reason.FIELD, f"{self.routing!r} is no routing number: its check digit is wrong")
        self.amount_minor = record.digits(28, 39, "amount") if kind == "ADV" else record.digits(30, 39, "amount")
        indicator = record.one_of(79, 79, "addenda indicator", frozenset("01"))
        self.wants_addenda = indicator == "1"
        record.digits(80, 94, "trace number")
        self.addenda = 0
        self._seen: list[str] = []
        self._words: list[str] = []
        self._references: dict[str, str] = {}

    def add(self, record: Record) -> None:
        """One more addenda record. Raises Refused."""
        self.addenda += 1
        if self.addenda > ADDENDA_MAX:
            raise Refused(Reason.STRUCTURE, f"an entry has more than {ADDENDA_MAX:,} addenda")
        if not self.wants_addenda and self.kind != "ADV":
            raise Refused(Reason.STRUCTURE, "an addenda behind an entry that says it has none (column 79 is 0)")
        kind = record.one_of(2, 3, "addenda type", ADDENDA_TYPES)
        self._seen.append(kind)
        reader = _READERS.get(kind)
        if reader is not None:
            reader(self, record)
        if kind not in {"02", "98", "99"}:
            sequence = record.field(88, 94)
            if not sequence.isdecimal() or int(sequence) != self.record.digits(88, 94, "trace number"):
                raise Refused(Reason.STRUCTURE, f"the addenda belongs to entry {sequence!r}, not to the one before it")

    def note(self, words: str) -> None:
        """Payment related information."""
        self._words.append(words)

    def refer(self, **references: str) -> None:
        """Further references, of returns and changes."""
        self._references |= references

    def line(self, statement: int, settled: str | None) -> Line:
        """The entry with its addenda as a line. Raises Refused when addenda are missing."""
        self._complete()
        record = self.record
        returned, changed = "99" in self._seen, "98" in self._seen
        return Line(
            statement=statement,
            amount_minor=self.amount_minor if is_credit(self.code) else -self.amount_minor,
            currency="USD",
            booking_date=settled,
            value_date=settled,
            references=stated_references(self._identifications() | self._references),
            description=" ".join("".join(self._words).split()) or self.purpose,
            position=Position(record.number),
            type=f"{self.kind} {self.code}",
            status="INFO" if changed or not self.amount_minor else "",
            counterparty=self._receiver(),
            reversal=returned or self.purpose.upper() == REVERSAL,
        )

    def _complete(self) -> None:
        if self.wants_addenda and not self.addenda:
            raise Refused(Reason.STRUCTURE, "the entry says it has addenda (column 79 is 1), but none follows")
        if self.kind == "IAT" and not {"98", "99"} & set(self._seen):
            missing = [kind for kind in IAT_MANDATORY if kind not in self._seen]
            if missing:
                raise Refused(Reason.STRUCTURE, f"an IAT entry without its addenda {', '.join(missing)}")

    def _identifications(self) -> dict[str, str]:
        record = self.record
        account = record.field(40, 74) if self.kind == "IAT" else record.field(13, 27 if self.kind == "ADV" else 29)
        first, last = {"CIE": (55, 76), "SHR": (44, 54)}.get(self.kind, (40, 54))
        identification = "" if self.kind in {"IAT", "ADV"} else record.field(first, last)
        return {
            "trace_number": record.field(80, 94),
            "individual_id": identification,
            "receiver_routing_number": self.routing,
            "receiver_account": account,
        }

    def _receiver(self) -> str:
        if self.kind == "IAT":
            return self._references.get("receiver_name", "")
        if self.kind == "SHR":
            return ""  # the number of a card
        counted = self.kind in COUNTED_ADDENDA and self.record.field(55, 58).isdecimal()
        first, last = (59, 74) if counted else (40, 54) if self.kind == "CIE" else (55, 76)
        return self.record.field(first, last)


def _payment_information(entry: Entry, record: Record) -> None:
    """Text that fills its 80 columns goes on in the next addenda; any shorter one ends there."""
    words = record.text[3:83]
    entry.note(words if words[-1] != " " else f"{words.rstrip()} ")


def _terminal(entry: Entry, record: Record) -> None:
    entry.refer(terminal=record.field(14, 19), terminal_transaction=record.field(20, 25))


def _international(entry: Entry, record: Record) -> None:
    record.one_of(4, 6, "transaction type code", IAT_TRANSACTION_TYPES)
    if not record.field(7, 24).isdecimal():
        raise Refused(Reason.FIELD, "the foreign payment amount (columns 7–24) is not a number")
    entry.refer(foreign_trace_number=record.field(25, 46), receiver_name=record.field(47, 81))


def _change(entry: Entry, record: Record) -> None:
    code = record.one_of(4, 6, "change code", CHANGE_CODES)
    entry.refer(change_code=code, original_trace_number=record.field(7, 21), corrected_data=record.field(36, 64))


def _return(entry: Entry, record: Record) -> None:
    code = record.one_of(4, 6, "return code", RETURN_CODES)
    entry.refer(return_code=code, original_trace_number=record.field(7, 21), original_bank=record.field(28, 35))
    if code in DISHONOURED | CONTESTED:
        entry.refer(return_trace_number=record.field(39, 53), returned_for=f"R{record.field(57, 58)}")
    if code in CONTESTED:
        entry.refer(dishonoured_return_trace_number=record.field(59, 73), dishonoured_for=f"R{record.field(77, 78)}")
    else:
        first = 59 if code in DISHONOURED else 46 if entry.kind == "IAT" else 36  # of IAT the amount stands before it
        entry.note(f"{record.field(first, 79)} ")


_READERS: dict[str, Callable[[Entry, Record], None]] = {
    "02": _terminal,
    "05": _payment_information,
    "10": _international,
    "98": _change,
    "99": _return,
}
