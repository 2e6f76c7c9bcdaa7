"""`python -m tests.connectors.loop.connector_process NAME WINDOW_OFFSETS CALL_TIMEOUT_S`: the connectors as a process.

A test may kill it; its waits are short.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path

from connectors import attempt, window
from connectors.loop import Route
from connectors.service import run
from runtime.settings import Settings

ROOT = Path(__file__).parents[3]
FIRST_DELAY_US = 300_000
"""Of the second attempt; the others are a second apart."""


def route_of(name: str) -> Route:
    return Route(f"{name}.requests", f"{name}.results")


def start(
    settings: Settings, name: str, failpoint: str = "", window_offsets: int = 2_048, call_timeout_s: int = 2
) -> subprocess.Popen[str]:
    """A child with its log on stderr."""
    module = "tests.connectors.loop.connector_process"
    command = [sys.executable, "-m", module, name, str(window_offsets), str(call_timeout_s)]
    environment = os.environ | {
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "MILLRACE_SLOT": str(settings.slot),
        "MILLRACE_STRIPE_URL": settings.stripe_url,
        "MILLRACE_STRIPE_API_KEY_FILE": str(settings.stripe_api_key_file),
        "MILLRACE_TRANSACTION_TIMEOUT_MS": str(settings.transaction_timeout_ms),
        "MILLRACE_SESSION_TIMEOUT_MS": str(settings.session_timeout_ms),
        "EOS_FAILPOINT": failpoint,
    }
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    attempt.CALL_TIMEOUT_S = int(sys.argv[3])  # type: ignore[misc]
    attempt.BACKOFF_S = (0.05, 0.1)  # type: ignore[misc]
    attempt.ATTEMPT_DELAYS_US = (FIRST_DELAY_US, *[1_000_000] * 7)  # type: ignore[misc]
    window.WINDOW_OFFSETS = int(sys.argv[2])  # type: ignore[misc]
    sys.exit(run(Settings(), sys.argv[1], route_of(sys.argv[1])))
