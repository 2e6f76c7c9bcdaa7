"""Runs as they are listed, looked into and reported. Reads alone."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import class_row

_RUN: Final = """
SELECT run_id, rule_set, revision, encode(rules_sha256, 'hex') AS rules_sha256, zone, calendar, first_day, last_day,
    as_of, cut_off, internal_lines, external_lines, matches, breaks, totals, ties, suggestions,
    encode(result_hash, 'hex') AS result_hash, run_by, run_at, forgotten_at
FROM recon_runs"""
_PAGE: Final = f"""{_RUN}
WHERE (%(rule_set)s = '' OR rule_set = %(rule_set)s)
    AND (%(at)s::timestamptz IS NULL OR (run_at, run_id) < (%(at)s, %(after)s))
ORDER BY run_at DESC, run_id DESC LIMIT %(rows)s"""
_FILES: Final = """
SELECT name, source, format, encode(sha256, 'hex') AS sha256, lines, repeats, brought_at
FROM recon_run_files JOIN recon_files USING (file_id) WHERE run_id = %s ORDER BY source, name, sha256"""
_MATCHES: Final = """
SELECT number, pass AS pass_, keys, score, note, amount_minor, currency, internal, external FROM recon_matches
WHERE run_id = %s AND number > %s ORDER BY number LIMIT %s"""
_BREAKS: Final = """
SELECT found.break_id, found.type, found.reason, found.keys, found.difference_minor, found.currency, found.day,
    found.age_days, found.internal, found.external, living.status, living.owner, living.due_on, living.after_sign_off
FROM recon_run_breaks AS found LEFT JOIN recon_breaks AS living USING (break_id)
WHERE run_id = %s ORDER BY abs(found.difference_minor) DESC, found.break_id LIMIT %s"""
_AGES: Final = """
SELECT type, currency, age_days, count(*) AS breaks, sum(abs(difference_minor)) AS value_minor FROM recon_run_breaks
WHERE run_id = %s GROUP BY type, currency, age_days ORDER BY type, currency, age_days"""
_PASSES: Final = """
SELECT pass, count(*), sum(cardinality(internal)), sum(cardinality(external)) FROM recon_matches
WHERE run_id = %s GROUP BY pass ORDER BY pass"""


class Run(NamedTuple):
    """A row of recon_runs."""

    run_id: UUID
    rule_set: str
    revision: int
    rules_sha256: str
    zone: str
    calendar: str
    first_day: date | None
    last_day: date
    as_of: date
    cut_off: datetime
    internal_lines: int
    external_lines: int
    matches: int
    breaks: int
    totals: dict[str, dict[str, int]]
    ties: list[dict[str, Any]]
    suggestions: list[dict[str, Any]]
    result_hash: str
    run_by: str
    run_at: datetime
    forgotten_at: datetime | None
    """Since when its matches are deleted (reconciliation/runs/forgetting.py)."""


class RunFile(NamedTuple):
    """A file whose lines a run has looked at."""

    name: str
    source: str
    format: str
    sha256: str
    lines: int
    repeats: int
    brought_at: datetime


class StoredMatch(NamedTuple):
    """Lines that belong together: `internal` as journal and leg, `external` as line ids."""

    number: int
    pass_: str
    keys: dict[str, str]
    score: int
    note: str
    amount_minor: int
    currency: str
    internal: list[str]
    external: list[int]


class RunBreak(NamedTuple):
    """A break as the run found it, and how it stands today; a run that looked back may know some that never lived."""

    break_id: UUID
    type: str
    reason: str
    keys: dict[str, str]
    difference_minor: int
    currency: str
    day: date
    age_days: int
    internal: list[str]
    external: list[int]
    status: str | None
    owner: str | None
    due_on: date | None
    after_sign_off: bool | None


class Ages(NamedTuple):
    """Breaks of one type, currency and age, and what they come to without signs."""

    type: str
    currency: str
    age_days: int
    breaks: int
    value_minor: int


def find_run(connection: Connection, id_: UUID) -> Run | None:
    """One run, or None."""
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(f"{_RUN} WHERE run_id = %s".encode(), (id_,)).fetchone()


def page_of_runs(
    connection: Connection, limit: int, rule_set: str = "", after: tuple[datetime, UUID] | None = None
) -> list[Run]:
    """The newest first."""
    at, id_ = after or (None, None)
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(_PAGE, {"rule_set": rule_set, "at": at, "after": id_, "rows": limit}).fetchall()


def files_of(connection: Connection, run_id: UUID) -> list[RunFile]:
    """What the run has read."""
    with connection.cursor(row_factory=class_row(RunFile)) as cursor:
        return cursor.execute(_FILES, (run_id,)).fetchall()


def page_of_matches(connection: Connection, run_id: UUID, limit: int, after: int = -1) -> list[StoredMatch]:
    """In the order of the run."""
    with connection.cursor(row_factory=class_row(StoredMatch)) as cursor:
        return cursor.execute(_MATCHES, (run_id, after, limit)).fetchall()


def breaks_of(connection: Connection, run_id: UUID, limit: int | None = None) -> Iterator[RunBreak]:
    """The largest first; without a limit all of them, which are held in memory."""
    with connection.cursor(row_factory=class_row(RunBreak)) as cursor:
        yield from cursor.execute(_BREAKS, (run_id, limit))


def ages_of(connection: Connection, run_id: UUID) -> list[Ages]:
    """How many breaks of a run are how old, by type and currency."""
    rows = connection.execute(_AGES, (run_id,))
    return [Ages(type_, currency, age, count, int(value)) for type_, currency, age, count, value in rows]


def passes_of(connection: Connection, run_id: UUID) -> list[tuple[str, int, int, int]]:
    """How many matches and lines of both sides each pass found; this is kept when the matches are not."""
    kept = connection.execute("SELECT passes FROM recon_runs WHERE run_id = %s", (run_id,)).fetchone()
    if kept is not None and kept[0] is not None:
        return [(name, matches, internal, external) for name, matches, internal, external in kept[0]]
    return [(row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(_PASSES, (run_id,))]
