"""The alarm of what providers leave open: how many requests wait for people, asked of Postgres now and then.

Reads provider_requests. A Postgres that does not answer leaves the last count standing: the drift watcher raises the
alarm for that.
"""

import logging
import time
from typing import Final

import psycopg

from runtime.postgres import open_session
from runtime.settings import Settings

log = logging.getLogger("millrace.watch")

ASK_EVERY_S: Final = 10.0
"""An index has those that wait alone."""

_COUNT: Final = "SELECT count(*) FROM provider_requests WHERE is_open AND NOT attempt_follows"


class AttemptsAlarm:
    """`alarms` is one look, and asks at most every `every_s`."""

    def __init__(self, settings: Settings, every_s: float = ASK_EVERY_S) -> None:
        self._settings = settings
        self._every_s = every_s
        self._asked_s: float | None = None
        self._waiting = 0

    def alarms(self) -> list[str]:
        """One line while a request waits for people, else none."""
        if self._asked_s is None or time.monotonic() - self._asked_s >= self._every_s:
            self._ask()
        if not self._waiting:
            return []
        return [f"{self._waiting} requests to providers wait for people to settle them: GET /v1/attempts"]

    def _ask(self) -> None:
        self._asked_s = time.monotonic()
        try:
            with open_session(self._settings.database_url, "millrace watch") as connection:
                row = connection.execute(_COUNT).fetchone()
            self._waiting = row[0] if row is not None else 0
        except psycopg.errors.UndefinedTable:
            self._waiting = 0  # no sink has run here yet
        except psycopg.OperationalError as error:
            log.warning("what providers leave open can't be counted: %s", " ".join(str(error).split()))
