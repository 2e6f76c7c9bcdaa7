"""The one door: a file → its events, or a refusal. Which parser reads which format stands here and nowhere else.

`events` streams; a refusal may come at its end, so who imports does so in one transaction. `parsed` keeps a whole file
in memory and is for files of known size; `millrace statements parse` spools to disk.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from msgspec import Struct

from reconciliation.statements.detect import format_of
from reconciliation.statements.iso20022 import camt, payments
from reconciliation.statements.lines import BadLine, Event, Line, Statement
from reconciliation.statements.nacha.reader import parse_nacha
from reconciliation.statements.providers.profile import Profile
from reconciliation.statements.providers.reports import parse_report
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source, look_through
from reconciliation.statements.text.bai2 import parse_bai2
from reconciliation.statements.text.fedwire import parse_fedwire
from reconciliation.statements.text.mt940 import parse_mt940
from reconciliation.statements.text.ofx import parse_ofx

Parser = Callable[[Source], Iterator[Event]]

PARSERS: dict[str, Parser] = {
    **{name: partial(camt.parse_camt, message=name) for name in camt.MESSAGES.values()},
    **dict.fromkeys(payments.MESSAGES.values(), payments.parse_payments),
    **dict.fromkeys(("mt940", "mt942"), parse_mt940),
    "bai2": parse_bai2,
    "nacha": parse_nacha,
    "ofx": parse_ofx,
    "fedwire": parse_fedwire,
}
BAD_LINES_MAX = 100
"""Bad lines that are listed; who sends more than that sends another format."""


class Opened(Struct, frozen=True):
    """A file whose format is known: its events are read once, from the beginning."""

    source: Source
    format: str
    events: Iterator[Event]


class Parsed(Struct, frozen=True, kw_only=True):
    """A file as a whole: taken with everything in it, or refused with nothing of it."""

    file: str
    sha256: str
    format: str
    status: str
    reason: str | None
    statements: list[tuple[Statement, list[Line]]] = []
    bad_lines: list[BadLine] = []


def opened(path: Path, profile: Profile | None = None, advance: Callable[[int], None] = lambda _: None) -> Opened:
    """A file, looked through and recognised; a table by a user's profile where one is given.

    `advance` is told each byte twice, once a pass. Raises Refused.
    """
    source = look_through(path, advance)
    name = format_of(source)
    if name in PARSERS:
        return Opened(source, name, PARSERS[name](source))
    return Opened(source, *parse_report(source, name, profile))


def read(file: Opened, take_line: Callable[[Line], None], take_statement: Callable[[Statement], None]) -> list[BadLine]:
    """Read a file to its end, or to as many bad lines as are listed; these are what it is refused for.

    Raises Refused when it is refused as a whole, without a bad line that explains why.
    """
    bad: list[BadLine] = []
    statements = 0
    try:
        for event in file.events:
            if isinstance(event, Line):
                take_line(event)
            elif isinstance(event, Statement):
                take_statement(event)
                statements += 1
            else:
                bad.append(event)
                if len(bad) == BAD_LINES_MAX:
                    break
    except Refused:
        if not bad:
            raise
    if not bad and not statements:
        raise Refused(Reason.NO_STATEMENT, "the file has no statement in it")
    return bad


def reason_of(bad: list[BadLine]) -> str:
    """Why a file with bad lines is refused: the first of them, and how many more there are."""
    position, (code, _, sentence) = bad[0].position, bad[0].reason.partition(": ")
    place = position.element or f"line {position.line}"
    more = f"; {len(bad) - 1} more can't be read" if len(bad) > 1 else ""
    return f"{code}: {place}: {sentence}{more}"


def parsed(path: Path, profile: Profile | None = None) -> Parsed:
    """A whole file in memory."""
    name, digest = "", ""
    lines: dict[int, list[Line]] = {}
    frames: dict[int, Statement] = {}
    bad: list[BadLine] = []
    try:
        file = opened(path, profile)
        name, digest = file.format, file.source.sha256
        bad = read(
            file,
            lambda line: lines.setdefault(line.statement, []).append(line),
            lambda frame: frames.update({frame.number: frame}),
        )
    except Refused as refusal:
        return Parsed(file=str(path), sha256=digest, format=name, status="refused", reason=str(refusal))
    if bad:
        return Parsed(
            file=str(path), sha256=digest, format=name, status="refused", reason=reason_of(bad), bad_lines=bad
        )
    statements = [(frame, lines.get(number, [])) for number, frame in sorted(frames.items())]
    return Parsed(file=str(path), sha256=digest, format=name, status="ok", reason=None, statements=statements)
