"""Precision and recall: files with faults at known places are read and matched; what is found is compared with them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from reconciliation.generated.entries import Entry
from reconciliation.generated.faults import CALENDAR, CALLED, SHAPES, WITH_FEES, Fault, FaultKind, Generated, generate
from reconciliation.matching.calendars import shifted
from reconciliation.matching.cascade import match
from reconciliation.matching.controls import Control
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Break
from reconciliation.matching.rules import Rules, rules_of
from reconciliation.statement_lines import delivered
from reconciliation.statements.parse import parsed

RULES: Final = {
    "version": 1,
    "name": "proof",
    "calendar": CALENDAR.value,
    "date_window": {"after_days": 3},
    "settlement_days": 0,
    "sources": {
        side: {"columns": {"date": "date", "amount": "amount", "currency": "currency"}}
        for side in ("internal", "external")
    },
}


class Proof(Struct, frozen=True):
    """`unfound` were seeded and not found; `invented` were found and not seeded. Both are lists of type and place."""

    lines: int
    files: int
    faults: int
    faults_by_kind: dict[str, int]
    matches: int
    breaks: int
    precision: str
    recall: str
    unfound: list[tuple[str, str]]
    invented: list[tuple[str, str]]


def made_up(count: int, seed: int, first: date) -> list[Entry]:
    """Payments over twelve business days, mostly in euro; a tenth in yen, which have no decimals."""
    chance = Random(seed)
    days = [shifted(first, number, CALENDAR) for number in range(12)]
    return [
        Entry(
            f"{chance.getrandbits(64):016X}",
            gross := chance.randrange(100, 500_000),
            gross * 14 // 1_000 + 25,
            chance.choices(("EUR", "JPY"), (9, 1))[0],
            days[chance.randrange(len(days))],
        )
        for _ in range(count)
    ]


def write_files(generated: Generated, folder: Path) -> None:
    """Each under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in generated.files:
        (folder / file.name).write_text(file.text, encoding="utf-8")


def prove(
    entries: Sequence[Entry],
    folder: Path,
    seed: int,
    faults_each: int,
    advance: Callable[[], None] = lambda: None,
    *,
    fee_lines: bool = False,
) -> Proof:
    """Generate into the folder, read back, match, compare. `advance` is called for each file read; `fee_lines`: the
    books have each fee as a line of its own, as the ledger posts it.
    """
    generated = generate(entries, seed, faults_each)
    write_files(generated, folder)
    external: list[Line] = []
    controls: list[Control] = []
    for file in generated.files:
        lines, lacking = delivered(parsed(folder / file.name), file.shape)
        external += lines
        controls += lacking
        advance()
    rules: Rules = rules_of(RULES)
    outcome = match(_books(generated, fee_lines=fee_lines), external, rules, controls=controls)
    found = Counter(place for one in outcome.breaks for place in _places(one))
    wanted = Counter((CALLED[fault.kind].value, fault.place) for fault in generated.faults)
    return _compared(generated.faults, wanted, found, len(external), len(generated.files), len(outcome.matches))


def _books(generated: Generated, *, fee_lines: bool) -> list[Line]:
    lines: list[Line] = []
    for shape in SHAPES:
        for entry in generated.books[shape]:
            for amount_minor, gross_minor, fee_minor in entry.book_lines(fee_lines=fee_lines):
                told = (gross_minor, fee_minor) if shape in WITH_FEES else (None, None)
                place = ("books", len(lines) + 1, amount_minor, entry.currency, entry.booked_on, entry.reference)
                lines.append(Line(*place, account=shape, gross_minor=told[0], fee_minor=told[1]))
    return lines


def _places(one: Break[Line]) -> Iterator[tuple[str, str]]:
    if one.type is CALLED[FaultKind.CUT_FILE]:
        yield one.type.value, Path(one.keys["file"]).name
    else:
        yield one.type.value, one.keys["id"]


def _compared(
    faults: list[Fault],
    wanted: Counter[tuple[str, str]],
    found: Counter[tuple[str, str]],
    lines: int,
    files: int,
    matches: int,
) -> Proof:
    right = (wanted & found).total()
    return Proof(
        lines=lines,
        files=files,
        faults=len(faults),
        faults_by_kind=dict(Counter(fault.kind.value for fault in faults)),
        matches=matches,
        breaks=found.total(),
        precision=_share(right, found.total()),
        recall=_share(right, wanted.total()),
        unfound=sorted((wanted - found).elements()),
        invented=sorted((found - wanted).elements()),
    )


def _share(part: int, whole: int) -> str:
    """Four decimals, rounded down: 1.0000 is all of them."""
    ones, rest = divmod(part * 10_000 // whole if whole else 10_000, 10_000)
    return f"{ones}.{rest:04}"
