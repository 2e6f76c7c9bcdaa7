"""The alarm of the nights: files that have not come until their deadline, and nights that nobody has run.

Reads the plan and the tables of reconciliation now and then.
"""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

from millrace.asked_alarm import AskedAlarm
from reconciliation.matching.rules import RulesFault
from reconciliation.nightly.nights import alarms, standing
from reconciliation.nightly.plan import read_plan
from reconciliation.nightly.times import due_at
from runtime.postgres import open_session
from runtime.settings import Settings

ASK_EVERY_S: Final = 60.0
LATE: Final = timedelta(hours=1)
"""A million lines a side take a minute or two, providers five; a runner that was restarted looks again at once."""


class NightsAlarm(AskedAlarm):
    """A line for each file and night; none without a plan."""

    unanswered = "the nights can't be looked at"

    def __init__(self, settings: Settings) -> None:
        super().__init__(ASK_EVERY_S)
        self._settings = settings

    def _look(self) -> list[str]:
        if self._settings.recon_plan_file is None:
            return []
        try:
            return self._asked(datetime.now(UTC))
        except RulesFault as fault:
            return [f"the plan of the nights can't be read: {fault}"]

    def _asked(self, now: datetime) -> list[str]:
        assert self._settings.recon_plan_file is not None
        plan = read_plan(self._settings.recon_plan_file)
        with closing(open_session(self._settings.database_url, "millrace watch")) as connection:
            late = [
                f"{night.name}: the night of {day} has not run (due at {due_at(night.times, day):%H:%MZ})"
                for night in plan.all
                for day in standing(connection, night, now, []).due
                if now - due_at(night.times, day) > LATE
            ]
            return alarms(connection, plan, now) + late
