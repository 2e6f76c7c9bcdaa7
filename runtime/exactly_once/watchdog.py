"""Ends the process when a client call does not come back in its time.

librdkafka 2.16 waits without a limit inside `send_offsets_to_transaction` once the broker was killed under it, whatever
time-out the call was given (seen for > 40 s, until the process was ended). A call that hangs holds the slot and, with
its open transaction, every reader of the partitions it wrote to.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.exactly_once.crash import crash

CHECK_INTERVAL_S = 0.25
MARGIN_S = 1.0
"""A call that honours its own time-out ends with an error that says more; the watchdog waits for that first."""


class Watchdog:
    """One thread per process. `with watchdog.within("commit_transaction", 10): …`"""

    def __init__(self) -> None:
        self._step = ""
        self._deadline_s = float("inf")
        threading.Thread(target=self._watch, name="exactly-once-watchdog", daemon=True).start()

    @contextmanager
    def within(self, step: str, seconds: float) -> Iterator[None]:
        """Steps follow each other, they don't nest."""
        self._step = step
        self._deadline_s = time.monotonic() + seconds + MARGIN_S
        try:
            yield
        finally:
            self._deadline_s = float("inf")

    def _watch(self) -> None:
        try:
            while time.monotonic() <= self._deadline_s:
                time.sleep(CHECK_INTERVAL_S)
        except BaseException as failure:  # noqa: BLE001 - a process without its watchdog may hang for ever
            crash(f"the watchdog failed: {type(failure).__name__}: {failure}")
        crash(f"{self._step} has not come back in its time: the client hangs")
