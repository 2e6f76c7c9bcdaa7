"""Waits for what another process or thread will do, and fails where it does not."""

import time
from collections.abc import Callable

PATIENCE_S = 90.0
"""A whole installation on two busy cores restarts a crashed broker in 10 s; beside other installations it takes longer,
and who waits for what comes loses nothing by patience."""

_PAUSE_S = 0.05


def eventually(probe: Callable[[], object], what: str = "what the test waits for") -> None:
    """Until `probe` answers something true; fails after PATIENCE_S."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not probe():
        assert time.monotonic() < deadline_s, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(_PAUSE_S)
