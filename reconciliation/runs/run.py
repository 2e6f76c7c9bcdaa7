"""A run: read both sides in one snapshot, match, tie out, write everything down in one transaction.

1 read     a snapshot until the cut-off: a payment that is posted meanwhile is in the next run
2 match    pure; what lies outside the days that were asked for helps to match and is told no more
3 write    header, files, matches, breaks as found; then the living breaks are opened, changed and closed
"""

import hashlib
import itertools
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from psycopg import Connection

from payments.identifiers import uuid7
from reconciliation.breaks.identity import break_id
from reconciliation.matching.calendars import shifted
from reconciliation.matching.cascade import match
from reconciliation.matching.lines import Line
from reconciliation.matching.results import Break, Match, Outcome
from reconciliation.runs.rules import ReadRules, RunRules
from reconciliation.runs.sides import Sides, Span, read_sides
from reconciliation.runs.tie_out import (
    Tie,
    Total,
    controls_of,
    read_statements,
    ties_of,
    totals_of,
    unproven_statements,
)

RUN: Final = "rrn"
"""Kind prefix of runs' ids."""

EARLIEST: Final = date(1970, 1, 1)
LATEST: Final = date(2999, 12, 31)
"""Days that anybody could ask about; beyond the calendar's own ends there is no day before or after."""

_MOMENT: Final = timedelta(microseconds=1)
_encode: Final = msgspec.json.Encoder(order="sorted").encode

_FILES: Final = """
SELECT DISTINCT file.file_id, file.sha256, file.name FROM recon_files AS file
JOIN recon_statements AS statement USING (file_id)
WHERE statement.source = ANY(%(sources)s) AND file.brought_at < %(cut_off)s AND EXISTS (
    SELECT FROM recon_lines AS line WHERE line.file_id = file.file_id AND line.booked_on BETWEEN %(first)s AND %(last)s
) ORDER BY file.sha256"""


class Asked(NamedTuple):
    """Which days, until when what has come counts, and who asks. Without `first` it is everything until `last`."""

    cut_off: datetime
    first: date | None
    last: date | None
    by: str


class Found(NamedTuple):
    """A break of a run with what it is called over time."""

    break_id: UUID
    broken: Break[Line]
    day: date
    internal: list[str]
    external: list[int]


class Result(NamedTuple):
    """A run that is not written yet."""

    run_id: UUID
    asked: Asked
    span: Span
    as_of: date
    files: list[tuple[UUID, bytes, str]]
    sides: Sides
    outcome: Outcome[Line]
    breaks: list[Found]
    ties: list[Tie]
    totals: dict[str, Total]
    result_hash: bytes


Tell = Callable[[str, int], None]
"""Is told what is being done, and how many lines more of it are."""


def compute(connection: Connection, read: ReadRules, asked: Asked, tell: Tell = lambda *_: None) -> Result:
    """Steps 1 and 2. Raises psycopg.Error."""
    rules = read.rules
    as_of = (asked.cut_off - _MOMENT).astimezone(ZoneInfo(rules.zone)).date()  # the end of a day is of that day
    span = Span(asked.first or date.min, asked.last or as_of, asked.cut_off)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL statement_timeout = 0")
        wide = widened(span, rules)
        sides = read_sides(connection, rules, wide, lambda count: tell("lines read", count))
        statements = read_statements(connection, rules, span)
        ties = ties_of(connection, rules, span, sides, statements)
        named = wide._asdict() | {"sources": rules.statements.sources}
        files = [(row[0], bytes(row[1]), row[2]) for row in connection.execute(_FILES, named)]
    lines = len(sides.internal) + len(sides.external)
    controls = controls_of(statements, rules)
    whole = match(sides.internal, sides.external, rules, as_of=as_of, controls=controls)
    whole = msgspec.structs.replace(whole, breaks=[*whole.breaks, *unproven_statements(statements, rules)])
    outcome = _within(whole, span.first) if asked.first else whole
    tell("lines matched", lines)
    days = {control.file: control.day for control in controls}
    breaks = [found_break(one, rules.name, days) for one in outcome.breaks]
    totals = totals_of(outcome)
    digest = _digest(read, span, asked, [sha256 for _, sha256, _ in files], outcome, (ties, totals))
    id_ = UUID(bytes=uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10)))
    return Result(id_, asked, span, as_of, files, sides, outcome, breaks, ties, totals, digest)


def cut_off_of(text: str, rules: RunRules, now: datetime) -> datetime:
    """A time, or the end of a day of the rules' zone; by default and at the latest now, for what comes later is not
    known. Raises ValueError.
    """
    if not text:
        return now
    zone = ZoneInfo(rules.zone)
    if len(text) == len("2026-11-22"):
        day = day_of(text) + timedelta(days=1)
        return min(datetime(day.year, day.month, day.day, tzinfo=zone), now)
    at = datetime.fromisoformat(text)
    day_of(at.date().isoformat())
    return min(at if at.tzinfo is not None else at.replace(tzinfo=zone), now)


def day_of(text: str) -> date:
    """Raises ValueError, also for a day of which nobody has books."""
    day = date.fromisoformat(text)
    if not EARLIEST <= day <= LATEST:
        raise ValueError(f"{day} is no day from {EARLIEST} to {LATEST}")
    return day


def widened(span: Span, rules: RunRules) -> Span:
    """With the days before the first that a line of it may belong to."""
    if span.first == date.min:
        return span
    return span._replace(first=shifted(span.first, -rules.reach(), rules.calendar))


def is_told(one: Match[Line] | Break[Line], first: date) -> bool:
    """Whether it is about at least one line of the days asked for, or about none at all."""
    lines = one.internal + one.external
    return not lines or any(line.date >= first for line in lines)


def _within(outcome: Outcome[Line], first: date) -> Outcome[Line]:
    return Outcome(
        [one for one in outcome.matches if is_told(one, first)],
        [one for one in outcome.breaks if is_told(one, first)],
        [one for one in outcome.suggestions if is_told(one, first)],
    )


def found_break(one: Break[Line], rule_set: str, days: Mapping[str, date]) -> Found:
    """`days`: of files that are cut, which no line tells."""
    ours, theirs = one.internal, one.external
    id_ = break_id(rule_set, one.type, one.keys, (line.key for line in ours), (line.key for line in theirs))
    dates = [line.date for line in ours + theirs]
    day = min(dates) if dates else _day_of(one.keys, days)
    return Found(id_, one, day, [line.row for line in ours], [int(line.row) for line in theirs])


def _day_of(keys: dict[str, str], days: Mapping[str, date]) -> date:
    return days[keys["file"]] if "file" in keys else date.fromisoformat(keys["date"])


def _digest(
    read: ReadRules,
    span: Span,
    asked: Asked,
    files: Iterable[bytes],
    outcome: Outcome[Line],
    sums: object,
) -> bytes:
    """Of everything that a run says but when it ran; the order of lines and files changes nothing."""

    def keys(lines: Iterable[Line]) -> list[str]:
        return sorted(line.key for line in lines)

    matches = (
        ["match", one.pass_, one.keys, one.score, one.note, keys(one.internal), keys(one.external)]
        for one in outcome.matches
    )
    breaks = (
        ["break", one.type, one.keys, one.difference, one.currency, keys(one.internal), keys(one.external)]
        for one in outcome.breaks
    )
    items = sorted(hashlib.sha256(_encode(one)).digest() for one in itertools.chain[Any](matches, breaks))
    head = [read.sha256.hex(), asked.first, span.last, sorted(sha256.hex() for sha256 in files), sums]
    return hashlib.sha256(hashlib.sha256(_encode(head)).digest() + b"".join(items)).digest()
