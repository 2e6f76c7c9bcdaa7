"""The process `millrace scheduler`: migrates its tables, then runs pass after pass until it is told to stop.

Any number may run at once. Survives restarts of the brokers (what was not delivered is sent by a later pass) and,
within a bound, of Postgres. Everything else ends the process with a reason; the supervisor starts it again.
"""

import logging
import signal
import sys
import threading
import time
from datetime import datetime
from typing import Final

import psycopg
from confluent_kafka import KafkaException
from psycopg import Connection

from ingest_api.schedules.rows import MIGRATIONS
from ingest_api.schedules.running import Figures, run_pass
from ingest_api.schedules.sending import CommandLog
from payments.errors import Unavailable
from payments.lifecycle import PaymentStatus
from runtime import migrate
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import Failpoints
from runtime.kafka_client import AccessRefused
from runtime.postgres import StoppedWaiting, connect, is_transient
from runtime.settings import Settings

LOGGER = logging.getLogger("millrace.scheduler")

PASS_S: Final = 0.5
"""How often a pass begins: half of it is how late a transfer is on average. An idle pass is five look-ups by index."""

LOG_INTERVAL_S: Final = 10
RECONNECTS_MAX: Final = 5
"""Reconnects without a pass in between. Each one already waits up to half a minute for Postgres."""

_LEDGER_TABLES: Final = "SELECT to_regclass('payments') IS NOT NULL AND to_regclass('sink_progress') IS NOT NULL"
_CLOCK: Final = "SELECT clock_timestamp()"


class Scheduler:
    """Passes at a steady pace: `scheduler_payments_per_s` × PASS_S occurrences each, at most."""

    def __init__(self, settings: Settings) -> None:
        self._dsn = settings.database_url
        self._limit = int(settings.scheduler_payments_per_s * PASS_S)
        self._failpoints = Failpoints(settings.failpoint)
        self._log = CommandLog(settings)
        self._stopping = threading.Event()
        self._reconnects = 0
        self._figures = Figures()
        self._reported_s = time.monotonic()

    def stop(self) -> None:
        """Finish the pass at hand, then return from `run`. Callable from a signal handler or another thread."""
        self._stopping.set()

    def run(self) -> None:
        """Until stopped. Raises AccessRefused, StoppedWaiting, Unavailable, TimeoutError, psycopg.Error,
        KafkaException.
        """
        migrate.up(self._dsn, MIGRATIONS, stopping=self._stopping)
        self._log.require_shards()
        while not self._stopping.is_set():
            with connect(self._dsn, "millrace scheduler", stopping=self._stopping) as connection:
                try:
                    self._follow(connection)
                except psycopg.Error as error:
                    if not is_transient(error, connection) or self._reconnects >= RECONNECTS_MAX:
                        raise
                    self._reconnects += 1
                    LOGGER.warning("postgres connection lost, reconnecting: %s", " ".join(str(error).split()))
                    connection.close()

    def _follow(self, connection: Connection) -> None:
        connection.autocommit = True
        connection.execute("SET enable_seqscan = off")  # plans are made when the tables are empty, and kept
        while not (self._stopping.is_set() or _answer(connection, _LEDGER_TABLES)):
            self._stopping.wait(PASS_S)  # the sink makes them
        while not self._stopping.is_set():
            began_s = time.monotonic()
            run_pass(connection, self._log, database_now(connection), self._limit, self._failpoints, self._figures)
            self._reconnects = 0
            self._report()
            self._stopping.wait(max(0.0, began_s + PASS_S - time.monotonic()))

    def _report(self) -> None:
        if time.monotonic() - self._reported_s >= LOG_INTERVAL_S:
            line = line_of(self._figures)
            if line:
                LOGGER.info(line)
            self._figures = Figures()
            self._reported_s = time.monotonic()


def database_now(connection: Connection) -> datetime:
    """What time it is for every scheduler: they share the clock of Postgres."""
    now = _answer(connection, _CLOCK)
    assert isinstance(now, datetime)
    return now


def _answer(connection: Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def line_of(figures: Figures) -> str:
    """The figures of some passes, for the log; empty where nothing was done."""
    settled = figures.settled
    failed = settled.total() - settled[PaymentStatus.POSTED]
    if not (figures.issued or figures.sent or figures.unsent or figures.doubtful or settled):
        return ""
    return (
        f"issued={figures.issued} sent={figures.sent} late_s_max={figures.late_s}"
        f" posted={settled[PaymentStatus.POSTED]} failed={failed} unsent={figures.unsent} doubtful={figures.doubtful}"
    )


def run(settings: Settings) -> int:
    """The process until SIGTERM or SIGINT; its exit code, with the reason on stderr where it is not 0."""
    try:
        scheduler = Scheduler(settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: scheduler.stop())
        scheduler.run()
    except StoppedWaiting as waited:
        LOGGER.info(str(waited))
    except (AccessRefused, Unavailable, migrate.MigrationRefused, TimeoutError, psycopg.Error, KafkaException) as error:
        sys.stderr.write(f"millrace: scheduler: {' '.join(str(error).split())}\n")
        return EXIT_CRASHED
    return 0
