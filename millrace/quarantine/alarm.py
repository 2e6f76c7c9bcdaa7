"""The alarm of the quarantine: how many cases wait for an operator, asked of Postgres now and then.

Reads quarantine_cases. A Postgres that does not answer leaves the last count standing: the drift watcher raises the
alarm for that.
"""

import logging
import time
from contextlib import closing

import psycopg

from ingest_api.quarantine.cases import count_unresolved, open_desk
from ingest_api.reads.database import DatabaseUnavailable
from runtime.settings import Settings

log = logging.getLogger("millrace.watch")

ASK_EVERY_S = 10.0
"""Every record ever set aside is looked at: 62 ms of 100,000, all but a hundred of them resolved."""


class QuarantineAlarm:
    """`alarms` is one look, and asks at most every `every_s`."""

    def __init__(self, settings: Settings, every_s: float = ASK_EVERY_S) -> None:
        self._settings = settings
        self._every_s = every_s
        self._asked_s: float | None = None
        self._waiting = 0

    def alarms(self) -> list[str]:
        """One line while a case waits, else none."""
        if self._asked_s is None or time.monotonic() - self._asked_s >= self._every_s:
            self._ask()
        if not self._waiting:
            return []
        return [f"{self._waiting} records in quarantine wait for a decision: millrace quarantine list"]

    def _ask(self) -> None:
        self._asked_s = time.monotonic()
        try:
            with closing(open_desk(self._settings)) as connection:
                self._waiting = count_unresolved(connection)
        except psycopg.errors.UndefinedTable:
            self._waiting = 0  # no sink has run here yet
        except (DatabaseUnavailable, psycopg.OperationalError) as error:
            log.warning("the cases in quarantine can't be counted: %s", " ".join(str(error).split()))
