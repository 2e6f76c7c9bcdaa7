"""Named steps at which a fault test kills or stops the process: `EOS_FAILPOINT=name:nth[:stop]`.

Unset (always, outside fault tests) a step costs one comparison.
"""

import os
import signal
import sys
import threading

NAMES = (
    "after_consume",
    "mid_cycle",
    "before_commit",
    "after_flush",
    "after_offsets",
    "mid_endtxn",
    "after_commit",
    "mid_restore",
    "sink_before_commit",
    "sink_after_commit",
)
"""Steps of the processes that run for ever."""

REDRIVE_NAMES = ("redrive_after_claim", "redrive_after_produce")
"""Steps of the command that brings one record out of quarantine."""

END_TXN_FLIGHT_S = 0.0012
"""EndTxn takes 0.5-1 ms on loopback and its markers another 1 ms: after 1.2 ms the decision is on its way and the
client does not know it yet, or has only just learnt it."""


class Failpoints:
    """Counts how often the armed step was reached and acts on the nth time."""

    def __init__(self, armed: str) -> None:
        name, _, rest = armed.partition(":")
        nth, _, action = rest.partition(":")
        known = NAMES + REDRIVE_NAMES
        if armed and (name not in known or not nth.isdigit() or action not in {"", "stop"}):
            raise ValueError(f"EOS_FAILPOINT={armed!r}: expected name:nth or name:nth:stop with name one of {known}")
        self._name = name
        self._nth = int(nth or 0)
        self._signal = signal.SIGSTOP if action == "stop" else signal.SIGKILL
        self._reached = 0

    def reach(self, name: str, delay_s: float = 0.0) -> None:
        """Kill or stop the process if this is the armed step for the nth time, `delay_s` later."""
        if name != self._name:
            return
        self._reached += 1
        if self._reached != self._nth:
            return
        if delay_s:
            threading.Timer(delay_s, self._act).start()
        else:
            self._act()

    def _act(self) -> None:
        sys.stderr.write(f"millrace: failpoint {self._name}\n")
        sys.stderr.flush()
        os.kill(os.getpid(), self._signal)
