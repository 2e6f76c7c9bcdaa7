"""A client call that hangs ends the process, and one that returns in time does not.

Regression: after a kill -9 of the broker `send_offsets_to_transaction` never came back, and the worker held its open
transaction until somebody ended it; readers of the ledger saw nothing meanwhile.
"""

import subprocess
import sys

HANGS = """
import time
from runtime.exactly_once import watchdog
watchdog.MARGIN_S = 0.0
with watchdog.Watchdog().within("send_offsets of millrace.1", 0.3):
    {body}
time.sleep({then})
print("went on")
"""


def run(body: str, then_s: float = 0) -> "subprocess.CompletedProcess[str]":
    script = HANGS.format(body=body, then=then_s)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)


def test_a_call_that_hangs_ends_the_process_with_its_name() -> None:
    ended = run("time.sleep(25)")
    assert ended.returncode == 75
    assert "send_offsets of millrace.1 has not come back in its time" in ended.stderr


def test_a_call_that_hangs_outside_python_ends_the_process() -> None:
    ended = run("import threading; threading.Lock().acquire() and threading.Event().wait(25)")
    assert ended.returncode == 75


def test_a_call_in_time_is_forgotten() -> None:
    ended = run("pass", then_s=1)
    assert (ended.returncode, ended.stdout) == (0, "went on\n")


def test_a_watchdog_that_fails_ends_the_process() -> None:
    """Regression: its thread ended in silence (a sleep refused with EINVAL under another clock), the worker went on."""
    refused = "def refuse(_): raise OSError(22, 'Invalid argument')\n    sleep, time.sleep = time.sleep, refuse"
    ended = run(f"{refused}\n    sleep(5)")
    assert ended.returncode == 75
    assert "the watchdog failed: OSError" in ended.stderr
