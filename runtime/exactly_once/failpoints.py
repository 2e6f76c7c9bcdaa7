"""Named steps at which a fault test breaks the process: `EOS_FAILPOINT=name:nth[:stop|:raise|:hold=SECONDS]`.

It is killed, stopped, met by an exception as of a bug, or its thread stands still while its other threads go on.

Unset (always, outside fault tests) a step costs one comparison.
"""

import os
import re
import signal
import sys
import threading
import time

CYCLE_NAMES = (
    "after_consume",
    "while_deciding",
    "mid_cycle",
    "before_commit",
    "after_flush",
    "after_offsets",
    "mid_endtxn",
    "after_commit",
)
"""Steps of one commit cycle, in their order."""

NAMES = (*CYCLE_NAMES, "mid_restore", "sink_before_commit", "sink_after_commit")
"""Steps of the processes that run for ever."""

REDRIVE_NAMES = ("redrive_after_claim", "redrive_after_produce")
"""Steps of the command that brings one record out of quarantine."""

ARCHIVE_NAMES = (
    "archive_mid_segment",
    "archive_after_draft",
    "archive_after_segment",
    "archive_after_link_draft",
    "archive_after_link",
)
"""Steps of the archiver, per record the first and per segment the others."""

SCHEDULE_NAMES = (
    "schedule_before_issue",
    "schedule_after_issue",
    "schedule_after_take",
    "schedule_after_send",
    "schedule_after_mark",
    "schedule_before_settle",
    "schedule_after_settle",
)
"""Steps of one pass of the scheduler, in their order."""

WEBHOOK_NAMES = ("webhook_after_claim", "webhook_before_record")
"""Steps of one pass of the webhooks' dispatcher."""

NOTICE_NAMES = ("notices_before_commit", "notices_after_claim", "notices_before_record")
"""Steps of one pass of the notices' dispatcher."""

END_TXN_FLIGHT_S = 0.0012
"""EndTxn takes 0.5-1 ms on loopback and its markers another 1 ms: after 1.2 ms the decision is on its way and the
client does not know it yet, or has only just learnt it."""

_ACTION = re.compile(r"(stop|raise|hold=\d+)?")


class InjectedBug(Exception):
    """What a bug would raise at the armed step."""


class Failpoints:
    """Counts how often the armed step was reached and acts on the nth time."""

    def __init__(self, armed: str) -> None:
        name, _, rest = armed.partition(":")
        nth, _, action = rest.partition(":")
        known = NAMES + REDRIVE_NAMES + ARCHIVE_NAMES + SCHEDULE_NAMES + WEBHOOK_NAMES + NOTICE_NAMES
        if armed and (name not in known or not nth.isdigit() or not _ACTION.fullmatch(action)):
            raise ValueError(
                f"EOS_FAILPOINT={armed!r}: expected name:nth, name:nth:stop, name:nth:raise or name:nth:hold=SECONDS"
                f" with name one of {known}"
            )
        self._name = name
        self._nth = int(nth or 0)
        self._action, _, hold_s = action.partition("=")
        self._hold_s = int(hold_s or 0)
        self._reached = 0

    def reach(self, name: str, delay_s: float = 0.0) -> None:
        """Act if this is the armed step for the nth time, `delay_s` later. Raises InjectedBug where armed so."""
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
        if self._action == "raise":
            raise InjectedBug(self._name)
        if self._action == "hold":
            time.sleep(self._hold_s)
        else:
            os.kill(os.getpid(), signal.SIGSTOP if self._action == "stop" else signal.SIGKILL)
