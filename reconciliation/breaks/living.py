"""What a run, or the stream, means for the breaks that live on: new ones open, known ones change or come back, what is
found no more closes. Writes recon_rule_sets, recon_breaks and recon_break_events.

Guarantees: a run whose cut-off lies before that of another one changes nothing here: it looks back. What is said a
second time changes nothing and leaves no line in a trail.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Connection

from reconciliation.breaks.ageing import due_on
from reconciliation.breaks.machine import LIVE, Action, Standing, Status, after, found_again
from reconciliation.runs.rules import RunRules
from reconciliation.runs.run import Found, Result
from reconciliation.store.importing import json_text

_NEWER: Final = "SELECT FROM recon_runs WHERE rule_set = %s AND cut_off > %s AND run_id <> %s LIMIT 1"
_KNOWN: Final = """
SELECT break_id, status, owner, type, difference_minor, currency, internal, external, day FROM recon_breaks
WHERE rule_set = %s AND (is_live OR break_id = ANY(%s)) FOR UPDATE"""
_KNOWN_AMONG: Final = _KNOWN.replace("(is_live OR break_id = ANY(%s))", "break_id = ANY(%s)")
_USED: Final = """
INSERT INTO recon_rule_sets (rule_set, revision, zone, calendar) VALUES (%s, %s, %s, %s)
ON CONFLICT (rule_set) DO UPDATE SET revision = excluded.revision, zone = excluded.zone, calendar = excluded.calendar,
    used_at = now()"""
_PERIODS: Final = "SELECT first_day, last_day FROM recon_sign_offs WHERE rule_set = %s AND reopened_at IS NULL"
_OPEN: Final = """
INSERT INTO recon_breaks (break_id, rule_set, type, status, is_live, reason, keys, difference_minor, currency, day,
    due_on, internal, external, after_sign_off, opened_run, seen_run)
VALUES (%s, %s, %s, %s, true, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_SEEN: Final = """
UPDATE recon_breaks SET type = %s, status = %s, is_live = %s, reason = %s, keys = %s, difference_minor = %s,
    currency = %s, day = %s, internal = %s, external = %s, after_sign_off = after_sign_off OR %s,
    seen_run = coalesce(%s, seen_run),
    changed_at = CASE WHEN %s THEN now() ELSE changed_at END
WHERE break_id = %s"""
_CLOSE: Final = "UPDATE recon_breaks SET status = %s, is_live = false, changed_at = now() WHERE break_id = %s"
_VOID: Final = """
UPDATE recon_proposals SET decision = 'withdrawn', decided_by = %s, decided_at = now()
WHERE break_id = ANY(%s) AND decision = ''"""
_EVENT: Final = """
INSERT INTO recon_break_events (break_id, by, action, before, after, because, told)
VALUES (%s, %s, %s, %s, %s, %s, %s)"""


class Changes(NamedTuple):
    """How many breaks a run opened, found changed, found back, closed, and adjusted by itself."""

    opened: int = 0
    changed: int = 0
    reopened: int = 0
    closed: int = 0
    adjusted: int = 0


class _Known(NamedTuple):
    break_id: UUID
    status: str
    owner: str
    type: str
    difference_minor: int
    currency: str
    internal: list[str]
    external: list[int]
    day: date

    def differs(self, found: Found) -> bool:
        broken = found.broken
        told = (broken.type, int(broken.difference), broken.currency, sorted(found.internal), sorted(found.external))
        return told != (self.type, self.difference_minor, self.currency, sorted(self.internal), sorted(self.external))


class _Writes:
    """What is to be written, together."""

    def __init__(self) -> None:
        self.opened: list[tuple[object, ...]] = []
        self.seen: list[tuple[object, ...]] = []
        self.closed: list[tuple[object, ...]] = []
        self.events: list[tuple[object, ...]] = []
        self.void: list[UUID] = []

    def event(self, id_: UUID, by: str, action: str, before: str, now: str, because: str, told: Any = None) -> None:
        self.events.append((id_, by, action, before, now, because, json_text(told or {})))


class Said(NamedTuple):
    """What somebody says of the breaks of some days. The stream has no run."""

    by: str
    run_id: UUID | None
    as_of: date
    first: date
    last: date
    breaks: Iterable[Found]


def apply(connection: Connection, rules: RunRules, result: Result) -> Changes:
    """Within the transaction of the run. Raises psycopg.Error."""
    asked = result.asked
    if looks_back(connection, rules, asked.cut_off, result.run_id):
        return Changes()
    first = asked.first or date.min
    return take_over(
        connection, rules, Said(asked.by, result.run_id, result.as_of, first, result.span.last, result.breaks)
    )


def looks_back(connection: Connection, rules: RunRules, cut_off: datetime, run_id: UUID) -> bool:
    """Whether another run knows of later times. Raises psycopg.Error."""
    return connection.execute(_NEWER, (rules.name, cut_off, run_id)).fetchone() is not None


def take_over(connection: Connection, rules: RunRules, said: Said, among: Collection[UUID] | None = None) -> Changes:
    """`among`: nothing is said of any other break; without it, those that are not said are gone. Within a transaction
    that holds the lock of the rule set. Raises psycopg.Error.
    """
    if among is None:
        connection.execute(_USED, (rules.name, rules.revision, rules.zone, rules.calendar.value))
    found = {one.break_id: one for one in said.breaks}
    query, ids = (_KNOWN, list(found)) if among is None else (_KNOWN_AMONG, [*{*found, *among}])
    known = {one.break_id: one for one in map(_Known._make, connection.execute(query, (rules.name, ids)))}
    periods = connection.execute(_PERIODS, (rules.name,)).fetchall()
    writes, counts = _Writes(), dict.fromkeys(Changes._fields, 0)
    for id_, one in found.items():
        counted = _found(writes, rules, said, one, known.get(id_), is_signed(one.day, periods))
        if counted:
            counts[counted] += 1
    for gone in known.values():
        if gone.break_id not in found and said.first <= gone.day <= said.last:
            counts["closed"] += _gone(writes, gone, said)
    _write(connection, writes, said.by)
    return Changes(**counts)


def is_signed(day: date, periods: Iterable[Sequence[Any]]) -> bool:
    """Whether a day lies in a period that somebody has signed."""
    return any((first or date.min) <= day <= last for first, last in periods)


def _found(writes: _Writes, rules: RunRules, said: Said, one: Found, known: _Known | None, signed: bool) -> str:
    """Which of the counts it is; none where nothing has changed."""
    broken, run = one.broken, said.run_id
    about = (broken.reason, json_text(broken.keys), int(broken.difference), broken.currency, one.day)
    if known is None:
        due = due_on(said.as_of, broken.type, rules.breaks, rules.calendar)
        head = (one.break_id, rules.name, broken.type.value, Status.OPEN.value)
        writes.opened.append((*head, *about, due, one.internal, one.external, signed, run, run))
        writes.event(one.break_id, said.by, "open", "", Status.OPEN, broken.reason, {"type": broken.type})
        return "opened"
    standing = Standing(Status(known.status), known.owner)
    action = found_again(standing, differs=known.differs(one))
    status = standing.status
    if action is not None:
        status = _must(after(standing, action, said.by))
        told = {"type": [known.type, broken.type], "difference_minor": [known.difference_minor, int(broken.difference)]}
        writes.event(one.break_id, said.by, action, standing.status, status, broken.reason, told)
        if standing.status is Status.PROPOSED:
            writes.void.append(one.break_id)
    changed, lines = action is not None, (one.internal, one.external)
    standing_now = (broken.type.value, status.value, status in LIVE)
    writes.seen.append((*standing_now, *about, *lines, signed and changed, run, changed, one.break_id))
    return {Action.CHANGE: "changed", Action.REOPEN: "reopened"}.get(action, "") if action else ""


def _gone(writes: _Writes, known: _Known, said: Said) -> bool:
    standing = Standing(Status(known.status), known.owner)
    status = after(standing, Action.CLOSE, said.by)
    if not isinstance(status, Status):
        return False
    writes.closed.append((status.value, known.break_id))
    writes.event(known.break_id, said.by, Action.CLOSE, standing.status, status, "it is found no more")
    if standing.status is Status.PROPOSED:
        writes.void.append(known.break_id)
    return True


def _must(status: object) -> Status:
    assert isinstance(status, Status), status  # a run's own actions are allowed in every status that it meets
    return status


def _write(connection: Connection, writes: _Writes, by: str) -> None:
    with connection.cursor() as cursor:
        for query, rows in (
            (_OPEN, writes.opened),
            (_SEEN, writes.seen),
            (_CLOSE, writes.closed),
            (_EVENT, writes.events),
        ):
            cursor.executemany(query, rows)
    if writes.void:
        connection.execute(_VOID, (by, writes.void))
