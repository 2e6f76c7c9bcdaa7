"""One restore on a thread of its own: short ones are waited for, long ones go on while the consuming thread polls.

A member that does not poll for `max_poll_interval_ms` is thrown out of its group, and while it is silent no rebalance
of the others can end. 130 million keys take minutes to read.
"""

import threading
from collections.abc import Callable, Mapping

Resumed = Mapping[int, dict[str, int]]
"""The next offset per shard and input topic."""


class RestoreCancelled(Exception):
    """The shards were given to somebody else before they were restored."""


class Restoring:
    """Runs `work` at once. The store must bear calls for other shards meanwhile."""

    def __init__(self, work: Callable[[threading.Event], Resumed]) -> None:
        self._work = work
        self._cancelled = threading.Event()
        self._resumed: Resumed = {}
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="exactly-once-restore", daemon=True)
        self._thread.start()

    def ended(self, timeout_s: float) -> bool:
        """Wait so long for it at most."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def resumed(self) -> Resumed:
        """What `work` returned, once it has ended. Raises what it raised."""
        if self._failure is not None:
            raise self._failure
        return self._resumed

    def cancel(self) -> None:
        """Have it end at the next record; what it has of the shards is worth nothing."""
        self._cancelled.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._resumed = self._work(self._cancelled)
        except Exception as failure:  # noqa: BLE001 - raised again on the thread that asks for the result
            self._failure = failure
