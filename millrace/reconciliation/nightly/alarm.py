"""The alarm of the nights: files that have not come until their deadline, and nights that nobody has run.

Reads the plan and the tables of reconciliation now and then. A Postgres that does not answer leaves the last lines
standing: the drift watcher raises the alarm for that.
"""

import logging
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg

from reconciliation.matching.rules import RulesFault
from reconciliation.nightly.nights import alarms, standing
from reconciliation.nightly.plan import read_plan
from reconciliation.nightly.times import due_at
from runtime.postgres import open_session
from runtime.settings import Settings

log = logging.getLogger("millrace.watch")

ASK_EVERY_S: Final = 60.0
LATE: Final = timedelta(hours=1)
"""A million lines a side take a minute or two; a runner that was restarted looks again at once."""


class NightsAlarm:
    """`alarms` is one look, and asks at most every minute."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked_s: float | None = None
        self._lines: list[str] = []

    def alarms(self) -> list[str]:
        """A line for each file and night; none without a plan."""
        if self._settings.recon_plan_file is None:
            return []
        if self._asked_s is None or time.monotonic() - self._asked_s >= ASK_EVERY_S:
            self._asked_s = time.monotonic()
            try:
                self._lines = self._asked(datetime.now(UTC))
            except RulesFault as fault:
                self._lines = [f"the plan of the nights can't be read: {fault}"]
            except psycopg.errors.UndefinedTable:
                self._lines = []  # nothing has run here yet
            except psycopg.OperationalError as error:
                log.warning("the nights can't be looked at: %s", " ".join(str(error).split()))
        return self._lines

    def _asked(self, now: datetime) -> list[str]:
        assert self._settings.recon_plan_file is not None
        plan = read_plan(self._settings.recon_plan_file)
        with closing(open_session(self._settings.database_url, "millrace watch")) as connection:
            late = [
                f"{night.name}: the night of {day} has not run (due at {due_at(night, day):%H:%MZ})"
                for night in plan.nights
                for day in standing(connection, night, now, []).due
                if now - due_at(night, day) > LATE
            ]
            return alarms(connection, plan, now) + late
