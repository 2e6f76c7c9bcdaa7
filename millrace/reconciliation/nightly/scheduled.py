"""`millrace recon follow|nights|schedule`: the plan carried out, and what it has done so far.

`follow` keeps one follower a rule set, `nights` the one runner; both begin anew after a lost connection,
and a second process of either waits until the first has gone.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
import typer
from psycopg import Connection
from psycopg.rows import dict_row
from rich.table import Table

from ingest_api.publisher import DeliveryUnknown
from ingest_api.reconciliation.desk import MIGRATIONS
from ingest_api.reconciliation.reports.formats import FORMATS
from ingest_api.reconciliation.reports.report import report_of
from ingest_api.reconciliation.sending import send_approved
from millrace.commands.output import faults_shown, print_json, print_table
from millrace.environment import EnvironmentFault, connected
from millrace.reconciliation.files import books
from payments.errors import Unavailable
from payments.identifiers import format_id
from reconciliation.breaks import posting
from reconciliation.following.follower import Fenced, Follower
from reconciliation.internal import questions
from reconciliation.internal.questions import Stopped, Wait
from reconciliation.matching.rules import RulesFault
from reconciliation.nightly.nights import BY, After, Nights, arrivals, is_ours, standing
from reconciliation.nightly.plan import AnyNight, Night, ReadPlan, read_plan
from reconciliation.runs.run import RUN
from reconciliation.runs.writing import holds
from runtime import migrate
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.postgres import StoppedWaiting, connect, is_transient
from runtime.settings import Settings

log = logging.getLogger("millrace.reconciliation")

FOLLOW_EVERY_S: Final = 1.0
"""A step that finds nothing is one small query a shard."""

LOOK_EVERY_S: Final = 10.0
"""A file is taken after two looks at it."""

ANSWERS_S: Final = 300.0
"""For answers of providers: 500 questions at five a second are 100 s, where the connectors have nothing else to ask."""

_FOLLOWS: Final = """
SELECT rule_set AS rules, step, as_of, first_day AS "from", positions, files, internal_lines, external_lines,
    followed_at FROM recon_follows ORDER BY rule_set"""


def run_follow(plan: Path | None) -> int:
    """Until SIGTERM or SIGINT; its exit code."""

    def serve(settings: Settings, read: ReadPlan, stop: threading.Event) -> None:
        keepers = [Keeper(settings, night, stop) for night in read.nights if night.is_followed]
        try:
            while not stop.is_set():
                for keeper in keepers:
                    keeper.step()
                stop.wait(FOLLOW_EVERY_S)
        finally:
            for keeper in keepers:
                keeper.close()

    return _served(plan, serve)


def run_nights(plan: Path | None) -> int:
    """Until SIGTERM or SIGINT; its exit code."""

    def serve(settings: Settings, read: ReadPlan, stop: threading.Event) -> None:
        while not stop.is_set():
            with closing(connect(settings.database_url, "millrace recon schedule", stopping=stop)) as connection:
                connection.autocommit = True
                try:
                    _look(connection, settings, read, stop)
                except psycopg.Error as error:
                    if not _may_pass(error, connection):
                        raise
                    log.warning("beginning anew: %s", " ".join(str(error).split()))
            stop.wait(LOOK_EVERY_S)

    return _served(plan, serve)


def run_schedule(plan: Path | None, *, as_json: bool) -> None:
    """When each rule set runs next and ran last, what is missing, and how far it is followed."""
    with faults_shown(as_json=as_json), books() as connection:
        try:
            read = read_plan(_path(plan, Settings()))
        except RulesFault as fault:
            raise EnvironmentFault(str(fault)) from fault
        now = datetime.now(UTC)
        arrived = arrivals(connection, now)
        nights = [_as_object(connection, night, now, arrived) for night in read.all]
        follows = connection.cursor(row_factory=dict_row).execute(_FOLLOWS).fetchall()
    if as_json:
        print_json({"inbox": str(read.inbox), "nightly": nights, "following": follows})
    else:
        _show(nights)


def _as_object(connection: Connection, night: AnyNight, now: datetime, arrived: list[Any]) -> dict[str, Any]:
    stands = standing(connection, night, now, arrived)
    last = None
    if stands.last_day is not None and stands.last_run is not None:
        run = format_id(RUN, stands.last_run.bytes)
        last = {"day": stands.last_day, "done_at": stands.last_done_at, "run": run}
    return {
        "rules": stands.rules,
        "at": night.asked.at,
        "zone": night.times.zone.key,
        "calendar": night.times.calendar,
        "next_at": stands.next_at,
        "last": last,
        "due": stands.due,
        "covered_later": stands.missed,
        "missing": [one._asdict() for one in stands.missing],
    }


def _show(nights: list[dict[str, Any]]) -> None:
    table = Table("rules", "next", "last", "due", "missing", box=None)
    for one in nights:
        last = f"{one['last']['day']}" if one["last"] else ""
        missing = ", ".join(f"{file['source']}/{file['name']}" for file in one["missing"])
        table.add_row(one["rules"], f"{one['next_at']:%Y-%m-%d %H:%M}Z", last, str(len(one["due"])), missing)
    print_table(table)


def _path(plan: Path | None, settings: Settings) -> Path:
    if plan is None and settings.recon_plan_file is None:
        raise typer.BadParameter("name a plan, or set MILLRACE_RECON_PLAN_FILE", param_hint="--plan")
    return plan or settings.recon_plan_file or Path()


def _served(plan: Path | None, serve: Callable[[Settings, ReadPlan, threading.Event], None]) -> int:
    settings, stop = connected(Settings()), threading.Event()
    path = _path(plan, settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        read = read_plan(path)
        for package in MIGRATIONS:
            migrate.up(settings.database_url, package, stopping=stop)
        serve(settings, read, stop)
    except StoppedWaiting as waited:
        log.info(str(waited))
    except (RulesFault, migrate.MigrationRefused, TimeoutError, OSError, psycopg.Error) as error:
        sys.stderr.write(f"millrace: recon: {' '.join(str(error).split())}\n")
        return EXIT_CRASHED
    return 0


def _look(connection: Connection, settings: Settings, read: ReadPlan, stop: threading.Event) -> None:
    """While the connection lasts; another runner's is waited for."""
    wait = Wait(BY, ANSWERS_S, stop)
    after = After(report, partial(_send, settings), lambda books_, asked: questions.ask(books_, wait, asked))
    nights = Nights(connection, read, after, settings.shards)
    while not stop.is_set():
        if is_ours(connection):
            with suppress(Stopped):
                nights.look(datetime.now(UTC))
        stop.wait(LOOK_EVERY_S)


def report(connection: Connection, run_id: UUID, format_: str) -> bytes:
    """A run as the API and `millrace recon report` write it."""
    sections = report_of(connection, run_id)
    assert sections is not None  # the run is there
    return FORMATS[format_][1](sections)


def _send(settings: Settings, connection: Connection) -> None:
    """What is not sent now is sent after the next run, or by `millrace recon post`."""
    posting.settle(connection)
    try:
        send_approved(settings, connection)
    except (DeliveryUnknown, Unavailable) as fault:
        log.warning("approved adjustments are not sent yet: %s", fault)


class Keeper:
    """A follower of one rule set, begun anew whenever its connection or its fence is lost."""

    def __init__(self, settings: Settings, night: Night, stop: threading.Event) -> None:
        self._settings, self._night, self._stop = settings, night, stop
        self._connection: Connection | None = None
        self._follower: Follower | None = None

    def step(self) -> None:
        """Raises TimeoutError, StoppedWaiting, and psycopg.Error that no new connection would heal."""
        try:
            follower = self._follower or self._begin()
            if follower is None:
                return
            came = follower.step(datetime.now(UTC))
            if any(came.changes):
                told = ", ".join(f"{count} {word}" for word, count in came.changes._asdict().items() if count)
                log.info("%s: %d + %d lines, breaks: %s", self._night.name, *came[:2], told)
        except (Fenced, psycopg.Error) as error:
            if isinstance(error, psycopg.Error) and not _may_pass(error, self._connection):
                raise
            log.warning("%s: beginning anew: %s", self._night.name, " ".join(str(error).split()))
            self.close()

    def close(self) -> None:
        """Its lock goes with the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._follower = None

    def _begin(self) -> Follower | None:
        """None while another process follows this rule set."""
        if self._connection is None:
            self._connection = connect(self._settings.database_url, "millrace recon follow", stopping=self._stop)
            self._connection.autocommit = True
        if not holds(self._connection, f"recon follow {self._night.name}"):
            return None
        self._follower = Follower(
            self._connection, self._night.read, self._settings.shards, self._night.asked.look_back_days
        )
        return self._follower


def _may_pass(error: psycopg.Error, connection: Connection | None) -> bool:
    """The sink makes its tables when it starts."""
    missing = isinstance(error, psycopg.errors.UndefinedTable)
    return missing or connection is None or is_transient(error, connection)
