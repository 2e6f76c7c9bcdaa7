"""`python -m tests.streams.publish.publisher_process NAME`: the publisher as a child process that a test may kill."""

import logging
import os
import subprocess
import sys
from pathlib import Path

from runtime.settings import Settings
from streams.publish.loop import Route
from streams.publish.service import run

ROOT = Path(__file__).parents[3]
SOURCE = "urn:example:bank"


def route_of(name: str) -> Route:
    return Route(SOURCE, f"{name}.ledger", f"{name}.events")


def start(settings: Settings, name: str, failpoint: str = "") -> subprocess.Popen[str]:
    """A child with its log on stderr."""
    environment = os.environ | {
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "MILLRACE_SHARDS": str(settings.shards),
        "MILLRACE_TRANSACTION_TIMEOUT_MS": str(settings.transaction_timeout_ms),
        "MILLRACE_SESSION_TIMEOUT_MS": str(settings.session_timeout_ms),
        "EOS_FAILPOINT": failpoint,
    }
    command = [sys.executable, "-m", "tests.streams.publish.publisher_process", name]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(run(Settings(), sys.argv[1], route_of(sys.argv[1])))
