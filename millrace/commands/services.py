"""The commands that run one service of the pipeline in the foreground: what `millrace up` starts as its children."""

import logging
import signal
import sys
import threading
from typing import NoReturn

from runtime.kafka_client import Brokers
from runtime.kafka_login import refuse_wrong_login
from runtime.log_lines import log_to_stderr
from runtime.settings import Settings


def _let_in() -> Settings:
    """The settings, once the brokers let this process in or can't be asked. Raises AccessRefused.

    Before anything else starts: the clients knock on for ever, and name no reason.
    """
    settings = Settings()
    refuse_wrong_login(Brokers.of(settings))
    return settings


def run_topics() -> None:
    """Make what is missing of the topic catalogue, and bring every principal's rights to what its stage needs."""
    from millrace.access import ensure_access
    from millrace.topics import ensure_topics

    settings = _let_in()
    made = ensure_topics(settings)
    sys.stdout.write(f"made {', '.join(made)}\n" if made else "all topics are there\n")
    granted, revoked = ensure_access(settings)
    if granted or revoked:
        sys.stdout.write(f"{granted} rights granted, {revoked} taken away\n")


def run_worker() -> NoReturn:
    """The deciding stage; exits 75 on any doubt and expects to be started again."""
    log_to_stderr(logging.WARNING)
    _let_in()
    from runtime.faust_app import run_worker as run_faust_worker
    from streams.app import app

    run_faust_worker(app)


def run_sink() -> NoReturn:
    """Ledger to Postgres."""
    log_to_stderr()
    from sinks.service import run

    raise SystemExit(run(_let_in()))


def run_quarantine_sink() -> NoReturn:
    """What was set aside to Postgres."""
    log_to_stderr()
    from sinks.quarantine.service import run

    raise SystemExit(run(_let_in()))


def run_events_sink() -> NoReturn:
    """Public events to Postgres."""
    log_to_stderr()
    from sinks.events.service import run

    raise SystemExit(run(_let_in()))


def run_webhooks() -> NoReturn:
    """Queued webhooks to their endpoints; asks no broker."""
    log_to_stderr()
    from connectors.webhooks.service import run

    raise SystemExit(run(Settings()))


def run_notifications() -> NoReturn:
    """Notices to users; asks no broker."""
    log_to_stderr()
    from connectors.notifications.service import run

    raise SystemExit(run(Settings()))


def run_connectors() -> NoReturn:
    """Requests to payment providers, and their results."""
    log_to_stderr()
    from connectors.service import run

    raise SystemExit(run(_let_in()))


def run_publisher() -> NoReturn:
    """Ledger to public events."""
    log_to_stderr()
    from streams.publish.service import run

    raise SystemExit(run(_let_in()))


def run_ticker() -> NoReturn:
    """Time, for shards without traffic."""
    log_to_stderr()
    from streams.ticker import run

    raise SystemExit(run(_let_in()))


def run_scheduler() -> NoReturn:
    """Transfers that are due."""
    log_to_stderr()
    from ingest_api.schedules.service import run

    raise SystemExit(run(_let_in()))


def run_stripe_sandbox(host: str, port: int, webhook_url: str) -> None:
    """The provider that `MILLRACE_STRIPE_URL` can point at."""
    from connectors.sandbox.__main__ import announce, webhook_of
    from connectors.sandbox.server import serve

    home = Settings().home
    home.mkdir(parents=True, exist_ok=True)
    serve(host, port, home / "stripe_sandbox.sqlite", webhook_of(webhook_url), announce)


def run_watch() -> None:
    """Alarms for drift, for transactions that hang and for readers that stand still."""
    log_to_stderr()
    from millrace.environment.layout import home_of
    from millrace.watch import run

    settings, stop = _let_in(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    run(settings, home_of(settings), stop)


def run_api() -> None:
    """HTTP to Kafka, reads from Postgres, and the console."""
    log_to_stderr()
    from ingest_api.server import run
    from millrace.console.composing import console_of

    run(_let_in(), console_of)
