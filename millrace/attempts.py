"""The alarm of what providers leave open: how many requests wait for people, asked of Postgres now and then."""

from contextlib import closing
from typing import Final

from millrace.asked_alarm import AskedAlarm
from runtime.postgres import open_session
from runtime.settings import Settings
from schemas.tables.provider_requests import WAITS_FOR_PEOPLE

ASK_EVERY_S: Final = 10.0
"""An index has those that are open alone."""

_COUNT: Final = f"SELECT count(*) FROM provider_requests AS request WHERE {WAITS_FOR_PEOPLE}"


class AttemptsAlarm(AskedAlarm):
    """One line while a request waits for people, else none."""

    unanswered = "what providers leave open can't be counted"

    def __init__(self, settings: Settings, every_s: float = ASK_EVERY_S) -> None:
        super().__init__(every_s)
        self._settings = settings

    def _look(self) -> list[str]:
        with closing(open_session(self._settings.database_url, "millrace watch")) as connection:
            row = connection.execute(_COUNT).fetchone()
        waiting = row[0] if row is not None else 0
        return [f"{waiting} requests to providers wait for people to settle them: GET /v1/attempts"] if waiting else []
