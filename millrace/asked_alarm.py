"""An alarm that asks somebody now and then, as the watch has several beside its own.

Guarantees: at most one question in `every_s`, also after one that failed; while there is no answer, what was said last
stands: that somebody is silent is an alarm of others.
"""

import logging
import time
from abc import ABC, abstractmethod
from typing import ClassVar

import psycopg

from payments.errors import Unavailable

log = logging.getLogger("millrace.watch")


class AskedAlarm(ABC):
    """`alarms` is one look."""

    silences: ClassVar[tuple[type[Exception], ...]] = (psycopg.OperationalError, Unavailable)
    """No answer."""

    unanswered: ClassVar[str]
    """What can't be done then, for the log."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._asked_s: float | None = None
        self._lines: list[str] = []

    def alarms(self) -> list[str]:
        """A line for each trouble."""
        if self._asked_s is None or time.monotonic() - self._asked_s >= self._every_s:
            self._asked_s = time.monotonic()
            try:
                self._lines = self._look()
            except psycopg.errors.UndefinedTable:
                self._lines = []  # nothing has run here yet
            except self.silences as error:
                log.warning("%s: %s", self.unanswered, " ".join(str(error).split()))
        return self._lines

    @abstractmethod
    def _look(self) -> list[str]:
        """Ask. Raises one of `silences`."""
