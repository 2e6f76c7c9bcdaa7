"""Nacha files → lines and statements: a statement a batch. A file whose controls don't agree is refused, as the ACH
operators refuse it: counts, hashes and totals of each batch (8) and of the file (9) against the records themselves.
"""

from collections.abc import Iterator
from typing import NamedTuple

from reconciliation.statements.lines import BadLine, ControlTotal, Event, Line, Position, Statement
from reconciliation.statements.nacha.entries import Entry
from reconciliation.statements.nacha.records import Record, records, refuse_control_characters
from reconciliation.statements.nacha.rules import (
    ADVICES,
    CREDITS_ONLY,
    DEBITS_ONLY,
    ENTRY_CLASSES,
    SERVICE_CLASSES,
    is_credit,
)
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source
from reconciliation.statements.values import short_day

_HASH_MODULUS = 10**10


class Sums:
    """What a control states: entries and addenda, hash of the routing numbers, debits and credits."""

    def __init__(self) -> None:
        self.count = self.hash = self.debits = self.credits = 0

    def add(self, other: "Sums") -> None:
        self.count += other.count
        self.hash = (self.hash + other.hash) % _HASH_MODULUS
        self.debits += other.debits
        self.credits += other.credits

    def totals(self, record: Record, place: str, columns: "_Control") -> list[ControlTotal]:
        """Each stated total beside the actual one. Raises Refused when one is no number."""
        return [
            ControlTotal(f"{place} {name}", record.digits(first, last, name), actual)
            for (name, first, last), actual in zip(
                columns, (self.count, self.hash, self.debits, self.credits), strict=True
            )
        ]


_Control = tuple[tuple[str, int, int], ...]
_BATCH: _Control = (
    ("entry/addenda count", 5, 10),
    ("entry hash", 11, 20),
    ("total debits", 21, 32),
    ("total credits", 33, 44),
)
_BATCH_ADV: _Control = (*_BATCH[:2], ("total debits", 21, 40), ("total credits", 41, 60))
_FILE: _Control = (
    ("entry/addenda count", 14, 21),
    ("entry hash", 22, 31),
    ("total debits", 32, 43),
    ("total credits", 44, 55),
)
_FILE_ADV: _Control = (*_FILE[:2], ("total debits", 32, 51), ("total credits", 52, 71))


class _Batch(NamedTuple):
    """A batch header (5), and what its records add up to."""

    record: Record
    service_class: str
    kind: str
    settled: str | None
    sums: Sums


class _Reader:
    """The state of one pass: the open batch and entry."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._header: Record | None = None
        self._batch: _Batch | None = None
        self._entry: Entry | None = None
        self._sums = Sums()
        self._batches = 0
        self._advices = False
        self._closed = False

    def events(self) -> Iterator[Event]:
        for record in records(self._source):
            if self._header is None:
                self._open_file(record)
                continue
            try:
                yield from self._take(record)
            except Refused as refusal:
                yield BadLine(Position(record.number), str(refusal))
        if not self._closed:
            raise Refused(Reason.CUT_OFF, "the file control (9) is missing: the file was cut off")

    def _take(self, record: Record) -> Iterator[Event]:
        if self._closed:
            raise Refused(Reason.STRUCTURE, "a record stands behind the file control (9)")
        refuse_control_characters(record)
        kind = record.text[0]
        if kind != "7":
            yield from self._finish_entry()
        match kind:
            case "5":
                self._open_batch(record)
            case "6":
                self._open_entry(record)
            case "7":
                self._addenda(record)
            case "8":
                yield self._close_batch(record)
            case "9":
                self._close_file(record)
            case _:
                raise Refused(Reason.STRUCTURE, f"{kind!r} is no type of record")

    def _open_file(self, record: Record) -> None:
        if record.text[0] != "1":
            raise Refused(Reason.STRUCTURE, "the file header (1) is missing")
        self._header = record
        if (record.text[1:3], record.text[34:40]) != ("01", "094101"):
            raise Refused(Reason.STRUCTURE, "the file header doesn't say priority 01 and records of 094, 10, 1")

    def _open_batch(self, record: Record) -> None:
        if self._batch is not None:
            raise Refused(Reason.STRUCTURE, "a batch (5) begins before the control (8) of the one before")
        entry_class = record.one_of(51, 53, "standard entry class", ENTRY_CLASSES)
        international = entry_class == "IAT" or record.field(5, 20) == "IATCOR"
        self._batch = _Batch(
            record,
            record.one_of(2, 4, "service class", SERVICE_CLASSES),
            "IAT" if international else entry_class,
            _effective(record),
            Sums(),
        )
        record.digits(80, 87, "originating bank")

    def _open_entry(self, record: Record) -> None:
        if self._batch is None:
            raise Refused(Reason.STRUCTURE, "an entry (6) stands outside of a batch")
        sums = self._batch.sums
        sums.count += 1
        self._entry = entry = Entry(record, self._batch.kind, self._batch.record.field(54, 63))
        sums.hash = (sums.hash + int(entry.routing[:8])) % _HASH_MODULUS
        if is_credit(entry.code):
            sums.credits += entry.amount_minor
        else:
            sums.debits += entry.amount_minor

    def _addenda(self, record: Record) -> None:
        if self._batch is None or self._entry is None:
            raise Refused(Reason.STRUCTURE, "an addenda (7) stands behind no entry (6)")
        self._batch.sums.count += 1
        self._entry.add(record)

    def _finish_entry(self) -> Iterator[Line | BadLine]:
        entry, self._entry = self._entry, None
        if entry is None or self._batch is None:
            return
        try:
            yield entry.line(self._batches, self._batch.settled)
        except Refused as refusal:
            yield BadLine(Position(entry.record.number), str(refusal))

    def _close_batch(self, record: Record) -> Statement:
        batch, self._batch = self._batch, None
        if batch is None:
            raise Refused(Reason.STRUCTURE, "a batch control (8) without a batch (5)")
        advices = batch.service_class == ADVICES
        self._advices = self._advices or advices
        totals = batch.sums.totals(record, "batch", _BATCH_ADV if advices else _BATCH)
        refuse_disagreement(totals)
        for name, first, last in (("originating bank", 80, 87), ("batch number", 88, 94)):
            if record.field(first, last) != batch.record.field(first, last):
                raise Refused(Reason.CONTROL_TOTAL, f"the {name} of the batch control is not that of its header")
        _refuse_wrong_side(batch)
        self._sums.add(batch.sums)
        self._batches += 1
        company = batch.record.field(41, 50)
        return Statement(
            number=self._batches - 1,
            account=company,
            currency="USD",
            opening_minor=None,
            closing_minor=None,
            control_totals=totals,
            identification=f"{batch.record.field(80, 87)}/{batch.record.field(88, 94)}",
            from_date=batch.settled,
            to_date=batch.settled,
        )

    def _close_file(self, record: Record) -> None:
        self._closed = True
        if self._batch is not None:
            raise Refused(Reason.STRUCTURE, "the file control (9) stands inside a batch: its control (8) is missing")
        refuse_disagreement(
            [
                ControlTotal("file batches", record.digits(2, 7, "batch count"), self._batches),
                *self._sums.totals(record, "file", _FILE_ADV if self._advices else _FILE),
            ]
        )


def refuse_disagreement(totals: list[ControlTotal]) -> None:
    """A control that doesn't agree refuses the file. Raises Refused."""
    wrong = [total for total in totals if not total.agrees]
    if wrong:
        sentence = "; ".join(f"{total.name} says {total.stated}, its records give {total.actual}" for total in wrong)
        raise Refused(Reason.CONTROL_TOTAL, sentence)


def _effective(record: Record) -> str | None:
    """The effective entry date: the sender's intention, so one that is no date takes no money away."""
    try:
        return short_day(record.field(70, 75))
    except Refused:
        return None


def _refuse_wrong_side(batch: _Batch) -> None:
    """A batch of credits has no debits, and the other way round; of IAT the rules do not ask it."""
    if batch.kind == "IAT":
        return
    for service_class, amount, side in (
        (CREDITS_ONLY, batch.sums.debits, "debits"),
        (DEBITS_ONLY, batch.sums.credits, "credits"),
    ):
        if batch.service_class == service_class and amount:
            raise Refused(Reason.STRUCTURE, f"service class {service_class} has {side} in it")


def parse_nacha(source: Source) -> Iterator[Event]:
    """Events of a Nacha file. Raises Refused."""
    return _Reader(source).events()
