"""Connections to Postgres with every wait bounded, which errors mean "try again", and how many there are at most.

Reads a DSN, keeps nothing, writes nothing. A pause of the server or a cut connection never leaves a caller waiting for
ever: connecting, waiting for a lock and an abandoned transaction each have their own limit.
"""

import logging
import threading
import time
from typing import Any, Final

import psycopg

from runtime.settings import Settings

log = logging.getLogger("millrace.postgres")

CONNECT_DEADLINE_S = 30
"""A Postgres that was killed replays its log before it answers; on a small machine that takes seconds."""

RETRY_PAUSE_S = 0.25

SESSION_OPTIONS = " ".join(
    (
        "-c statement_timeout=60000",  # the largest batch takes well under a second
        "-c lock_timeout=10000",
        # A stopped process must not hold its rows for ever: after this its session ends and its successor goes on.
        "-c idle_in_transaction_session_timeout=20000",
        "-c jit=off",  # compiling a plan costs more than any statement here runs
    )
)

PATIENCE: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""With a server that vanished without a word: noticed after 10 + 3 × 5 s, where the system would wait for 15 minutes,
or for two hours where nothing is under way."""

EARLIER_DECISIONS: Final = 2
"""Of the pool that reads, kept for looking up keys: one for single calls, one for batches. Whatever others read, a
command is looked up at once."""

AUDIT_LOG: Final = 2
"""Of the pool that writes, kept for the audit log: one for what calls wait for, one that seals."""

DOWNLOADS: Final = 2
"""Statements that are being written, each over a connection of its own. Each writes as fast as a core allows, and the
paying callers need that core, too."""

SCREENINGS: Final = 2
RECONCILIATION: Final = 3
QUARANTINE: Final = 2
_VERIFICATION_OF_AUDIT_LOG: Final = 1
_MIGRATION: Final = 1
_BESIDE_POOLS: Final = DOWNLOADS + SCREENINGS + RECONCILIATION + QUARANTINE + _VERIFICATION_OF_AUDIT_LOG + _MIGRATION
"""Blocking work in threads, each with a connection while it lasts."""

OTHER_PROCESSES: Final = 60
"""Sinks, archive, connectors, dispatchers, scheduler, gateway and supervisor hold twenty; the rest is for commands of
operators, psql, and the three that Postgres keeps for its superuser."""

_FEWEST_CONNECTIONS: Final = 100


class StoppedWaiting(Exception):
    """Told to stop while Postgres let nobody in: nothing was begun, so the process may end at once."""


class Attempts:
    """To be let in by Postgres, until a deadline."""

    def __init__(self, application_name: str, deadline_s: float = CONNECT_DEADLINE_S) -> None:
        self._name = application_name
        self._deadline_s = deadline_s
        self._give_up_at = time.monotonic() + deadline_s
        self._reason = ""

    def failed(self, error: psycopg.OperationalError) -> None:
        """Say so, once for each reason: four attempts a second would bury whatever else the log has to say. Raises
        TimeoutError with the reason after the deadline.
        """
        reason = " ".join(str(error).split())
        if time.monotonic() >= self._give_up_at:
            raise TimeoutError(
                f"Postgres did not let {self._name} in for {self._deadline_s:.0f} s ({reason});"
                " check that it runs and DATABASE_URL"
            ) from error
        if reason != self._reason:
            log.warning("postgres not reachable, trying for %.0f s: %s", self._deadline_s, reason)
            self._reason = reason

    def stopped(self) -> StoppedWaiting:
        """What ends the wait where the process was told to stop meanwhile."""
        return StoppedWaiting(f"told to stop while Postgres did not let {self._name} in ({self._reason})")


def connect(
    dsn: str,
    application_name: str,
    deadline_s: float = CONNECT_DEADLINE_S,
    *,
    stopping: threading.Event | None = None,
) -> psycopg.Connection:
    """A connection, retried until the deadline. Raises TimeoutError with the last reason; StoppedWaiting where it was
    told to stop meanwhile: the deadline is longer than a supervisor waits for an end.
    """
    attempts = Attempts(application_name, deadline_s)
    while True:
        try:
            return open_session(dsn, application_name)
        except psycopg.OperationalError as error:
            attempts.failed(error)
        time.sleep(RETRY_PAUSE_S)
        if stopping is not None and stopping.is_set():
            raise attempts.stopped()


def open_session(dsn: str, application_name: str) -> psycopg.Connection:
    """One attempt. Raises psycopg.OperationalError."""
    return psycopg.connect(dsn, application_name=application_name, options=SESSION_OPTIONS, **PATIENCE)


def is_transient(error: psycopg.Error, connection: psycopg.Connection) -> bool:
    """True where the same work may succeed on a new connection: restart, cut, lock time-out, deadlock, full disk."""
    return connection.closed or isinstance(error, psycopg.OperationalError)


def reading_connections(settings: Settings) -> int:
    """Size of the pool that reads."""
    return settings.api_database_connections + EARLIER_DECISIONS


def writing_connections(settings: Settings) -> int:
    """Size of the pool that writes."""
    return settings.api_database_writing_connections + AUDIT_LOG


def connections_of_api_process(settings: Settings) -> int:
    """The most that one API process has open at a time."""
    return reading_connections(settings) + writing_connections(settings) + _BESIDE_POOLS


def connections_needed(settings: Settings) -> int:
    """Postgres' max_connections for an installation."""
    return max(_FEWEST_CONNECTIONS, OTHER_PROCESSES + settings.api_processes * connections_of_api_process(settings))
