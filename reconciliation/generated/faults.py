"""Payments → files in six shapes, with faults at known places: what a reconciliation must find, and nothing else."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from random import Random
from typing import Final, NamedTuple

from reconciliation.generated.banks import bai2, camt053, mt940
from reconciliation.generated.entries import Batch, Entry, Shape
from reconciliation.generated.providers import adyen, paypal, stripe
from reconciliation.matching.breaks import BreakType
from reconciliation.matching.calendars import Calendar, shifted

SHAPES: Final[dict[str, tuple[str, Shape]]] = {
    "stripe": ("csv", stripe),
    "adyen": ("csv", adyen),
    "paypal": ("csv", paypal),
    "camt053": ("xml", camt053),
    "bai2": ("bai", bai2),
    "mt940": ("sta", mt940),
}
WITH_FEES: Final = ("stripe", "adyen", "paypal")
CALENDAR: Final = Calendar.TARGET
LATE_DAYS: Final = 6
"""Business days; the rules of the proof allow three."""
OTHER_CURRENCY: Final = {"USD": "GBP"}
"""What a wrong currency becomes; USD for all others."""


class FaultKind(StrEnum):
    """What goes wrong, and what it must be called."""

    MISSING = "missing"
    DUPLICATE = "duplicate"
    WRONG_FEE = "wrong_fee"
    WRONG_AMOUNT = "wrong_amount"
    LATE = "late"
    WRONG_CURRENCY = "wrong_currency"
    CUT_FILE = "cut_file"


CALLED: Final = {
    FaultKind.MISSING: BreakType.MISSING_EXTERNAL,
    FaultKind.DUPLICATE: BreakType.DUPLICATE_EXTERNAL,
    FaultKind.WRONG_FEE: BreakType.FEE_DIFFERENCE,
    FaultKind.WRONG_AMOUNT: BreakType.AMOUNT_MISMATCH,
    FaultKind.LATE: BreakType.TIMING,
    FaultKind.WRONG_CURRENCY: BreakType.CURRENCY_MISMATCH,
    FaultKind.CUT_FILE: BreakType.TRUNCATED_SOURCE,
}


class Fault(NamedTuple):
    """One of them; `place` is the payment's reference, or the name of the cut file."""

    kind: FaultKind
    place: str


class File(NamedTuple):
    """One generated file."""

    name: str
    shape: str
    text: str


class Generated(NamedTuple):
    """Files, what the books say by shape, and what was made wrong."""

    files: list[File]
    books: dict[str, list[Entry]]
    faults: list[Fault]


Key = tuple[str, date, str]
"""Shape, day and currency: one file each."""


def generate(entries: Sequence[Entry], seed: int, faults_each: int) -> Generated:
    """Spread payments over the shapes and make so many faults of each kind (one cut file a shape at most).

    Raises ValueError where there are too few payments for the faults.
    """
    return _Generator(entries, Random(seed)).run(faults_each)


class _Generator:
    """The files' entries, changed fault by fault: no payment and no file has two."""

    def __init__(self, entries: Sequence[Entry], chance: Random) -> None:
        self._chance = chance
        names = list(SHAPES)
        self.books: dict[str, list[Entry]] = {name: [] for name in names}
        for index, entry in enumerate(entries):
            name = names[index % len(names)]
            self.books[name].append(entry if name in WITH_FEES else entry._replace(fee_minor=0))
        self.told: defaultdict[Key, list[Entry]] = defaultdict(list)
        for name, own in self.books.items():
            for entry in own:
                self.told[name, entry.booked_on, entry.currency].append(entry)
        self.stated: dict[Key, list[Entry]] = {}
        self.faults: list[Fault] = []

    def run(self, each: int) -> Generated:
        cut = self._cut_files(each)
        last = max((day for _, day, _ in self.told), default=date.min)
        free = [(key, entry) for key in sorted(self.told) if key not in cut for entry in self.told[key]]
        self._chance.shuffle(free)
        for kind in (kind for kind in FaultKind if kind is not FaultKind.CUT_FILE):
            fitting = [(key, entry) for key, entry in free if self._fits(kind, key, last, cut)]
            if len(fitting) < each:
                raise ValueError(
                    f"too few payments for {each} × {kind}: {len(fitting)} fit; give more payments or days"
                )
            for key, entry in fitting[:each]:
                self._make(kind, key, entry)
                self.faults.append(Fault(kind, entry.reference))
            taken = {entry.reference for _, entry in fitting[:each]}
            free = [(key, entry) for key, entry in free if entry.reference not in taken]
        return Generated(self._files(), self.books, self.faults)

    def _cut_files(self, each: int) -> set[Key]:
        """The end of one file a shape is gone; its totals still know it."""
        cut: set[Key] = set()
        for name in list(SHAPES)[: min(each, len(SHAPES))]:
            keys = [key for key in sorted(self.told) if key[0] == name and len(self.told[key]) > 1]
            if keys:
                key = self._chance.choice(keys)
                whole = self.told[key]
                self.stated[key], self.told[key] = whole, whole[: max(1, len(whole) * 9 // 10)]
                self.faults.append(Fault(FaultKind.CUT_FILE, _name(key)))
                cut.add(key)
        return cut

    def _fits(self, kind: FaultKind, key: Key, last: date, cut: set[Key]) -> bool:
        shape, day, currency = key
        if kind is FaultKind.WRONG_FEE:
            return shape in WITH_FEES
        if kind is FaultKind.LATE:
            later = shifted(day, LATE_DAYS, CALENDAR)
            return later <= last and (shape, later, currency) not in cut
        return kind is not FaultKind.WRONG_CURRENCY or (shape, day, _other(currency)) not in cut

    def _make(self, kind: FaultKind, key: Key, entry: Entry) -> None:
        file, (shape, day, currency) = self.told[key], key
        at = file.index(entry)
        match kind:
            case FaultKind.MISSING:
                del file[at]
            case FaultKind.DUPLICATE:
                file.append(entry)
            case FaultKind.WRONG_FEE:
                file[at] = entry._replace(fee_minor=entry.fee_minor + 7)
            case FaultKind.WRONG_AMOUNT:
                file[at] = entry._replace(gross_minor=entry.gross_minor + 100)
            case FaultKind.LATE:
                del file[at]
                later = shifted(day, LATE_DAYS, CALENDAR)
                self.told[shape, later, currency].append(entry._replace(booked_on=later))
            case FaultKind.WRONG_CURRENCY:
                del file[at]
                self.told[shape, day, _other(currency)].append(entry._replace(currency=_other(currency)))

    def _files(self) -> list[File]:
        files = []
        for number, key in enumerate(sorted(self.told), 1):
            told = tuple(self.told[key])
            batch = Batch(number, key[1], key[2], told, tuple(self.stated.get(key, told)))
            if batch.stated:
                files.append(File(_name(key), key[0], SHAPES[key[0]][1](batch)))
        return files


def _name(key: Key) -> str:
    shape, day, currency = key
    return f"{shape}-{day}-{currency}.{SHAPES[shape][0]}"


def _other(currency: str) -> str:
    return OTHER_CURRENCY.get(currency, "USD")
