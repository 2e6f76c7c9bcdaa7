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
from reconciliation.statements.refusals import Reason, Refused
from reconciliation.statements.source import Source, look_through

Parser = Callable[[Source], Iterator[Event]]

PARSERS: dict[str, Parser] = {
    **{name: partial(camt.parse_camt, message=name) for name in camt.MESSAGES.values()},
    **dict.fromkeys(payments.MESSAGES.values(), payments.parse_payments),
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


def opened(path: Path, advance: Callable[[int], None] = lambda _: None) -> Opened:
    """A file, looked through and recognised. `advance` is told each byte twice, once a pass. Raises Refused."""
    source = look_through(path, advance)
    name = format_of(source)
    parser = PARSERS.get(name)
    if parser is None:
        raise Refused(Reason.UNKNOWN_FORMAT, f"no parser reads {name}")
    return Opened(source, name, parser(source))


def refuse_bad_lines(bad: list[BadLine], statements: int) -> None:
    """What a file that has been read to its end may still be refused for. Raises Refused."""
    if bad:
        first = bad[0]
        place = first.position.element or f"line {first.position.line}"
        raise Refused(Reason.BAD_LINES, f"{len(bad)} can't be read, the first is {place}: {first.reason}")
    if not statements:
        raise Refused(Reason.NO_STATEMENT, "the file has no statement in it")


def parsed(path: Path) -> Parsed:
    """A whole file in memory."""
    name, digest, bad = "", "", list[BadLine]()
    lines: dict[int, list[Line]] = {}
    frames: dict[int, Statement] = {}
    try:
        file = opened(path)
        name, digest = file.format, file.source.sha256
        for event in file.events:
            if isinstance(event, Line):
                lines.setdefault(event.statement, []).append(event)
            elif isinstance(event, Statement):
                frames[event.number] = event
            elif len(bad) < BAD_LINES_MAX:
                bad.append(event)
        refuse_bad_lines(bad, len(frames))
    except Refused as refusal:
        return Parsed(file=str(path), sha256=digest, format=name, status="refused", reason=str(refusal), bad_lines=bad)
    statements = [(frame, lines.get(number, [])) for number, frame in sorted(frames.items())]
    return Parsed(file=str(path), sha256=digest, format=name, status="ok", reason=None, statements=statements)
