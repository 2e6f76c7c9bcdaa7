"""A process with the fake clock reads it, sees it jump, and sleeps as long as it means to."""

import subprocess
import sys
from pathlib import Path

from tests.support.fake_clock import FakeClock

READS_TWICE = """
import time
before, started = time.time(), time.monotonic()
print("ready", flush=True)
input()
time.sleep(1.2)
print(round((time.time() - before) / 60), round(time.time_ns() / 1e9 - time.time()), time.monotonic() - started < 60)
"""


def test_the_wall_clock_jumps_and_the_monotonic_one_does_not(tmp_path: Path) -> None:
    clock = FakeClock(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", READS_TWICE],
        env=clock.python_variables(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        clock.set(3_600)
        said, _ = process.communicate("\n", timeout=30)
    assert said.split() == ["60", "0", "True"]
