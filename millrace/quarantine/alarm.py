"""The alarm of the quarantine: how many cases wait for an operator, asked of Postgres now and then."""

from contextlib import closing

from ingest_api.quarantine.cases import count_unresolved, open_desk
from millrace.asked_alarm import AskedAlarm
from runtime.settings import Settings

ASK_EVERY_S = 10.0
"""Every record ever set aside is looked at: 62 ms of 100,000, all but a hundred of them resolved."""


class QuarantineAlarm(AskedAlarm):
    """One line while a case waits, else none."""

    unanswered = "the cases in quarantine can't be counted"

    def __init__(self, settings: Settings, every_s: float = ASK_EVERY_S) -> None:
        super().__init__(every_s)
        self._settings = settings

    def _look(self) -> list[str]:
        with closing(open_desk(self._settings)) as connection:
            waiting = count_unresolved(connection)
        return [f"{waiting} records in quarantine wait for a decision: millrace quarantine list"] if waiting else []
