"""`python -m tests.sinks.sink_process TOPIC`: the sink as a child process that a fault test may kill."""

import logging
import os
import subprocess
import sys
from pathlib import Path

from runtime.settings import Settings
from sinks.service import run

ROOT = Path(__file__).parents[2]


def start(settings: Settings, topic: str, failpoint: str = "") -> subprocess.Popen[str]:
    """A child with its log on stderr."""
    command = [sys.executable, "-m", "tests.sinks.sink_process", topic]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment_of(settings, failpoint), stderr=subprocess.PIPE, text=True
    )


def environment_of(settings: Settings, failpoint: str = "") -> dict[str, str]:
    """What a child needs to know."""
    return os.environ | {
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "DATABASE_URL": settings.database_url,
        "MILLRACE_SHARDS": str(settings.shards),
        "EOS_FAILPOINT": failpoint,
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(run(Settings(), topic=sys.argv[1]))
