"""The alarm of the quarantine: how many cases wait for an operator, asked of Postgres now and then.

Leaves the count in `<home>/quarantine.prom` (Prometheus text format, for node_exporter's textfile collector).
"""

from contextlib import closing

from ingest_api.quarantine.cases import count_unresolved, open_desk
from millrace.asked_alarm import AskedAlarm
from millrace.environment.layout import home_of
from runtime.settings import Settings

ASK_EVERY_S = 10.0
"""Every record ever set aside is looked at: 62 ms of 100,000, all but a hundred of them resolved."""


class QuarantineAlarm(AskedAlarm):
    """One line while a case waits, else none."""

    unanswered = "the cases in quarantine can't be counted"

    def __init__(self, settings: Settings, every_s: float = ASK_EVERY_S) -> None:
        super().__init__(every_s)
        self._settings = settings
        self._home = home_of(settings)

    def _look(self) -> list[str]:
        with closing(open_desk(self._settings)) as connection:
            waiting = count_unresolved(connection)
        self._home.write(self._home.quarantine_metrics, metrics_of(waiting).encode())
        return [f"{waiting} records in quarantine wait for a decision: millrace quarantine list"] if waiting else []


def metrics_of(waiting: int) -> str:
    """Prometheus text format, version 0.0.4."""
    name = "millrace_quarantine_waiting"
    return f"# HELP {name} Cases in quarantine that nobody has resolved.\n# TYPE {name} gauge\n{name} {waiting}\n"
