"""One look of the scheduler: take files in, carry out the nights that are due, report, and say what is missing.

Reads the inbox and the plan; writes recon_nights with each run in one transaction. Guarantees: one runner at a time (an
advisory lock of its connection); a night is run once; nights that were missed are covered by one run, whose cut-off is
its own time, because what came meanwhile is known by now.

 1 files     each imported whole, refused or quarantined with its reason
 2 nights    the newest that is due is run; those before it that nobody ran are covered by it; our own services come
             last, because their run asks providers and waits for answers
 3 after     what the rules adjust by themselves is sent, then the reports are written
 4 old runs  one look deletes the matches of one of them
 a crash after any of these is continued by the next look
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg import Connection

from payments.identifiers import format_id
from reconciliation.internal import run as internally
from reconciliation.internal import writing
from reconciliation.internal.views import Movement, ProviderView
from reconciliation.matching.calendars import shifted
from reconciliation.nightly.inbox import Inbox, Waiting
from reconciliation.nightly.plan import AnyNight, InternalNight, Night, ReadPlan
from reconciliation.nightly.times import Arrived, Missing, due_at, due_days, missing, next_day
from reconciliation.runs.forgetting import forget_matches
from reconciliation.runs.run import RUN, Asked, compute
from reconciliation.runs.writing import holds, write
from reconciliation.store.importing import Brought, FileStatus, Imported, import_file

log = logging.getLogger("millrace.reconciliation")

BY: Final = "schedule"
"""Who runs and brings files, in headers and trails."""

ARRIVALS_DAYS: Final = 40
"""Deadlines are looked up by imports of so many days; no calendar closes for longer."""

_DONE: Final = """
SELECT max(day), max(done_at), (array_agg(run_id ORDER BY day DESC))[1], count(*) FILTER (WHERE was_missed)
FROM recon_nights WHERE rule_set = %s"""
_NIGHT: Final = "INSERT INTO recon_nights (rule_set, day, due_at, run_id, was_missed) VALUES (%s, %s, %s, %s, %s)"
_ARRIVED: Final = """
SELECT source, name, brought_at FROM recon_files
WHERE status = 1 AND brought_at > %(now)s::timestamptz - %(days)s * interval '1 day' AND brought_at <= %(now)s"""
_TO_REPORT: Final = """
SELECT day, run_id FROM recon_nights
WHERE rule_set = %s AND reported_at IS NULL AND NOT was_missed ORDER BY day"""
_REPORTED: Final = "UPDATE recon_nights SET reported_at = now() WHERE rule_set = %s AND day = %s"

Report = Callable[[Connection, UUID, str], bytes]
"""A run in a format."""


AskThem = Callable[[Connection, Sequence[Movement]], Mapping[UUID, ProviderView]]
"""Providers about movements; it ends by itself, and leaves out what nobody has answered."""

AGAIN: Final = timedelta(hours=1)
"""A night whose findings are too many to write down is tried again so much later."""


class After(NamedTuple):
    """What the composition adds: how a report is written, how what the rules adjust gets into the ledger, and how
    providers are asked.
    """

    report: Report
    send: Callable[[Connection], None]
    ask: AskThem


class Made(NamedTuple):
    """A run that is not written yet. `write` tells what it did, in words."""

    run_id: UUID
    write: Callable[[], str]


class Standing(NamedTuple):
    """Where one rule set stands. `due`: nights that wait; `missed`: those that a later one has covered."""

    rules: str
    next_at: datetime
    last_day: date | None
    last_done_at: datetime | None
    last_run: UUID | None
    missed: int
    due: list[date]
    missing: list[Missing]


class Looked(NamedTuple):
    """What a look did."""

    files: list[Imported]
    runs: list[UUID]


class Nights:
    """`look` every few seconds, on one connection in autocommit that holds the lock."""

    def __init__(self, connection: Connection, plan: ReadPlan, after: After, shards: int) -> None:
        self._connection, self._plan, self._after, self._shards = connection, plan, after, shards
        self._inbox = Inbox(plan.inbox)
        self._alarms: list[str] = []
        self._not_before: dict[str, datetime] = {}

    def look(self, now: datetime) -> Looked:
        """Raises psycopg.Error, OSError, and what `ask` raises."""
        files = [found for file in self._inbox.take() if (found := self._import(file)) is not None]
        runs = [run for night in self._plan.all if (run := self._carry_out(night, now)) is not None]
        if runs:
            self._after.send(self._connection)
        for night in self._plan.all:
            self._report(night)
        self._tell(now)
        if (forgotten := forget_matches(self._connection, self._plan.keep, now)) is not None:
            log.info("matches of run %s are deleted", format_id(RUN, forgotten.bytes))
        return Looked(files, runs)

    def _import(self, file: Waiting) -> Imported | None:
        """None where it can't be read now: the next look tries again, and the other files do not wait for it."""
        profile, name = self._plan.profiles.get(file.source, (None, ""))
        try:
            found = import_file(self._connection, file.path, Brought(file.source, BY, profile, name))
            lies = self._inbox.done(file, found.status, found.reason)
        except OSError as error:
            log.error("%s: %s", file.source, error)
            return None
        level = logging.ERROR if found.status is FileStatus.QUARANTINED else logging.INFO
        log.log(level, "%s: %s %s %s", found.status.name.lower(), file.source, lies.name, found.reason)
        return found

    def _carry_out(self, night: AnyNight, now: datetime) -> UUID | None:
        """The run that was made, if one was due."""
        days = due_days(night.times, standing(self._connection, night, now, []).last_day, now)
        if not days or now < self._not_before.get(night.name, now):
            return None
        newest = days[-1]
        try:
            made = self._of_files(night, now) if isinstance(night, Night) else self._of_services(night, now)
        except internally.TooManyFindings as fault:
            log.error("ALARM %s: the night of %s was not run: %s", night.name, newest, fault)
            self._not_before[night.name] = now + AGAIN
            return None
        with self._connection.transaction():
            told = made.write()
            for day in days:
                row = (night.name, day, due_at(night.times, day), made.run_id, day != newest)
                self._connection.execute(_NIGHT, row)
        log.info("%s %s: %s", night.name, newest, told)
        return made.run_id

    def _of_files(self, night: Night, now: datetime) -> Made:
        back, rules = night.asked.look_back_days, night.read.rules
        first = shifted(now.astimezone(ZoneInfo(rules.zone)).date(), -back, rules.calendar) if back else None
        result = compute(self._connection, night.read, Asked(now, first, None, BY))

        def written() -> str:
            changes = write(self._connection, night.read, result, self._shards)
            return f"{len(result.outcome.matches)} matches, breaks: {_told(changes._asdict())}"

        return Made(result.run_id, written)

    def _of_services(self, night: InternalNight, now: datetime) -> Made:
        asked, since, day = night.asked, internally.since(now, night.asked.look_back_days), None
        if asked.ask_day:
            day = now.astimezone(UTC).date() - timedelta(days=1)
            since = min(since, datetime.combine(day, time.min, UTC))
        run = internally.Asked(now, since, BY, day, asked.ask_max)
        ask = partial(self._after.ask, self._connection) if asked.ask_max else None
        result = internally.compute(self._connection, run, ask)
        if result.providers_silent:
            log.error("%s: providers have not answered about %d movements", night.name, result.providers_silent)

        def written() -> str:
            changes = writing.write(self._connection, result)
            return f"{len(result.findings)} findings, breaks: {_told(changes._asdict())}"

        return Made(result.run_id, written)

    def _report(self, night: AnyNight) -> None:
        if self._plan.reports is None:
            return
        for day, run_id in self._connection.execute(_TO_REPORT, (night.name,)).fetchall():
            folder = self._plan.reports / night.name
            folder.mkdir(parents=True, exist_ok=True)
            for format_ in night.asked.formats:
                _put(folder / f"{day}.{format_}", self._after.report(self._connection, run_id, format_))
            self._connection.execute(_REPORTED, (night.name, day))

    def _tell(self, now: datetime) -> None:
        found = alarms(self._connection, self._plan, now)
        for text in found:
            if text not in self._alarms:
                log.error("ALARM %s", text)
        self._alarms = found


def is_ours(connection: Connection) -> bool:
    """Whether this connection is the one runner, or has just become it."""
    return holds(connection, "recon schedule")


def arrivals(connection: Connection, now: datetime) -> list[Arrived]:
    """Imports that a deadline may ask for."""
    rows = connection.execute(_ARRIVED, {"now": now, "days": ARRIVALS_DAYS})
    return [Arrived(*row) for row in rows]


def standing(connection: Connection, night: AnyNight, now: datetime, arrived: list[Arrived]) -> Standing:
    """Last and next. Raises psycopg.Error."""
    row: tuple[Any, ...] | None = connection.execute(_DONE, (night.name,)).fetchone()
    assert row is not None  # an aggregate
    last_day, done_at, run_id, missed = row
    due = due_days(night.times, last_day, now)
    newest = due[-1] if due else last_day
    assert newest is not None  # one that never ran is due
    next_at = now if due else due_at(night.times, next_day(night.times, newest))
    late = missing(night, arrived, now) if isinstance(night, Night) else []
    return Standing(night.name, next_at, last_day, done_at, run_id, missed, due, late)


def alarms(connection: Connection, plan: ReadPlan, now: datetime) -> list[str]:
    """A line for each file that has not come until its deadline."""
    arrived = arrivals(connection, now)
    return [
        f"{one.source}: no file {one.name} since the business day before {one.day} (expected by {one.due_at:%H:%MZ})"
        for night in plan.nights
        for one in missing(night, arrived, now)
    ]


def _told(changes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in changes.items())


def _put(path: Path, content: bytes) -> None:
    """Whole or not at all, whoever reads the folder."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
