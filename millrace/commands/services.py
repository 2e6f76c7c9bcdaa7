"""The commands that run one service of the pipeline in the foreground: what `millrace up` starts as its children."""

import logging
import signal
import sys
import threading
from typing import NoReturn

from runtime.settings import Settings


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")


def run_topics() -> None:
    """Make what is missing of the topic catalogue."""
    from millrace.topics import ensure_topics

    made = ensure_topics(Settings())
    sys.stdout.write(f"made {', '.join(made)}\n" if made else "all topics are there\n")


def run_worker() -> NoReturn:
    """The deciding stage; exits 75 on any doubt and expects to be started again."""
    _log_to_stderr()
    from runtime.faust_app import run_worker as run_faust_worker
    from streams.app import app

    run_faust_worker(app)


def run_sink() -> NoReturn:
    """Ledger to Postgres."""
    _log_to_stderr()
    from sinks.service import run

    raise SystemExit(run(Settings()))


def run_quarantine_sink() -> NoReturn:
    """What was set aside to Postgres."""
    _log_to_stderr()
    from sinks.quarantine.service import run

    raise SystemExit(run(Settings()))


def run_watch() -> None:
    """Alarms for drift, for transactions that hang and for readers that stand still."""
    _log_to_stderr()
    from millrace.environment.layout import home_of
    from millrace.watch import run

    settings, stop = Settings(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    run(settings, home_of(settings), stop)


def run_api() -> None:
    """HTTP to Kafka, and reads from Postgres."""
    _log_to_stderr()
    from ingest_api.server import run

    run(Settings())
