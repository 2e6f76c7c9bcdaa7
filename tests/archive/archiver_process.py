"""`python -m tests.archive.archiver_process TOPIC`: one pass of the archiver as a child that a fault test may kill."""

import os
import subprocess
import sys
from pathlib import Path

from runtime.settings import Settings
from schemas.topics import COMMANDS
from sinks.archive.service import run

ROOT = Path(__file__).parents[2]


def archive_once(settings: Settings, topic: str, failpoint: str = "") -> int:
    """Run one pass over one topic in a child; its exit code."""
    environment = os.environ | {
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "MILLRACE_SHARDS": str(settings.shards),
        "MILLRACE_ARCHIVE_DIR": str(settings.archive_dir),
        "MILLRACE_ARCHIVE_SEGMENT_BYTES": str(settings.archive_segment_bytes),
        "EOS_FAILPOINT": failpoint,
    }
    command = [sys.executable, "-m", "tests.archive.archiver_process", topic]
    done = subprocess.run(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, timeout=60, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(run(Settings(), [COMMANDS._replace(name=sys.argv[1])], once=True))
