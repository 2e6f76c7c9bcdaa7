"""The drift watcher as part of `millrace watchdog`: looks again and again, and leaves alarms and a metric.

Looks in a thread of its own, since a look at a large ledger takes longer than the watch may stand still; the watch asks
it for alarms, and ends with an error should the thread have ended. Writes `<home>/metrics.prom` after each look
(Prometheus text format, for node_exporter's textfile collector). A look never takes more than a twentieth of the time:
where one lasts a second, the next is 19 s later.
"""

import logging
import threading
import time

import psycopg
from confluent_kafka import KafkaException

from millrace.audit.ledger.partition_log import AuditImpossible
from millrace.audit.report import Differs
from millrace.environment.layout import Home
from millrace.replay.drift import Drift, DriftWatch

log = logging.getLogger("millrace.drift")

LOOK_EVERY_S = 10.0
PAUSES_PER_LOOK = 19
"""A look at 20,000 accounts takes 0.15 s and 13 ms of CPU, at a million 2 to 5 s and 1.7 s of CPU: at most 5 % of a
core either way, with every 10 s and every minute or so.
"""

CANNOT_LOOK = (AuditImpossible, TimeoutError, psycopg.Error, KafkaException)
"""Nothing is known then, which is an alarm from the second time on: a server may just be restarting."""


class DriftAlarm:
    """Looks until stopped; `alarms` is what is wrong now."""

    def __init__(self, watch: DriftWatch, home: Home, every_s: float = LOOK_EVERY_S) -> None:
        self._watch = watch
        self._home = home
        self._every_s = every_s
        self._stop = threading.Event()
        self._failures = 0
        self._alarms: list[str] = []
        # A daemon: a stop may not wait for a server that does not answer.
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns after a second at the latest."""
        self._stop.set()
        self._thread.join(1)

    def alarms(self) -> list[str]:
        """Raises RuntimeError where nobody looks any more: the process has to be started again."""
        if self._thread.ident is not None and not self._thread.is_alive() and not self._stop.is_set():
            raise RuntimeError("the drift watcher has ended; its traceback stands above")
        return self._alarms

    def _run(self) -> None:
        pause_s = self._every_s
        while not self._stop.wait(pause_s):
            began = time.monotonic()
            self.look()
            pause_s = max(self._every_s, PAUSES_PER_LOOK * (time.monotonic() - began))

    def look(self) -> Drift | None:
        """One look, with its alarms and its metric."""
        try:
            drift = self._watch.look(self._stop.is_set)
        except Differs as differs:
            self._alarms = [f"drift: {differs}"]
            return None
        except CANNOT_LOOK as error:
            self._failures += 1
            if self._failures > 1:
                self._alarms = [f"drift can't be checked: {' '.join(str(error).split())}"]
            return None
        if drift is None:
            return None
        self._failures = 0
        self._alarms = [] if drift.ok else [alarm_of(drift)]
        self._home.write(self._home.metrics, metrics_of(drift).encode())
        log.info(line_of(drift))
        return drift


def alarm_of(drift: Drift) -> str:
    """The alarm in one line."""
    _, differing, drift_minor, first = drift.comparison
    return (
        f"drift: Postgres differs from the ledger by {drift_minor} minor units on {differing} accounts,"
        f" first {first[0].account}: millrace drift --once"
    )


def line_of(drift: Drift) -> str:
    """A look in one line."""
    accounts, differing, drift_minor, _ = drift.comparison
    return (
        f"drift_minor={drift_minor} differing_accounts={differing} accounts={accounts}"
        f" offsets_behind={drift.offsets_behind} wall_s={drift.wall_s}"
    )


def metrics_of(drift: Drift) -> str:
    """Prometheus text format, version 0.0.4."""
    accounts, differing, drift_minor, _ = drift.comparison
    gauges = (
        (
            "drift_minor",
            "Absolute differences between balances in Postgres and in the ledger, minor units.",
            drift_minor,
        ),
        ("drift_accounts", "Accounts whose balance in Postgres differs from the ledger.", differing),
        ("drift_compared_accounts", "Accounts compared.", accounts),
        (
            "drift_offsets_behind",
            "Ledger offsets that Postgres has not applied, markers included.",
            drift.offsets_behind,
        ),
        ("drift_look_seconds", "Duration of the look.", drift.wall_s),
        ("drift_last_look_timestamp_seconds", "Unix time of the look.", drift.checked_at_ms / 1_000),
    )
    return "".join(
        f"# HELP millrace_{name} {text}\n# TYPE millrace_{name} gauge\nmillrace_{name} {value}\n"
        for name, text, value in gauges
    )
