"""When an exited service is started again, and when that becomes an alarm. Pure: the caller brings the time."""

import math
from collections import deque
from dataclasses import dataclass, field

ALARM_EXITS = 5
WINDOW_S = 30.0
IN_A_ROW_S = 60.0
"""An exit so soon after the last one belongs to the same row: a worker that restores for ten seconds and then dies is
never five times in 30 s."""

_FIRST_PAUSE_S = 0.2
_PAUSE_MAX_S = 5.0
"""A worker that can't start costs 1 s of CPU per try: at 5 s it takes at most a fifth of a core."""


@dataclass(slots=True)
class RestartHistory:
    """The exits of one service within the last 30 s (at most one per start, so bounded by the pauses), and in a row."""

    exits: deque[float] = field(default_factory=deque)
    in_a_row: int = 0
    last_exit_s: float = -math.inf

    def record_exit(self, now_s: float) -> float:
        """Answer the pause before the next start: none for the first exit of a window, then 0.2, 0.4 … 5 s."""
        self.in_a_row = self.in_a_row + 1 if now_s - self.last_exit_s < IN_A_ROW_S else 1
        self.last_exit_s = now_s
        self.exits.append(now_s)
        earlier = self.exits_recently(now_s) - 1
        return min(_FIRST_PAUSE_S * 2 ** (earlier - 1), _PAUSE_MAX_S) if earlier else 0.0

    def exits_recently(self, now_s: float) -> int:
        """Exits that are not older than the window."""
        while self.exits and self.exits[0] <= now_s - WINDOW_S:
            self.exits.popleft()
        return len(self.exits)

    def is_alarming(self, now_s: float) -> bool:
        """Five exits in 30 s or in a row: restarting does not help, somebody must look."""
        is_row = self.in_a_row >= ALARM_EXITS and now_s - self.last_exit_s < IN_A_ROW_S
        return is_row or self.exits_recently(now_s) >= ALARM_EXITS

    def said(self, now_s: float) -> str:
        """What the alarm says of it."""
        if self.exits_recently(now_s) >= ALARM_EXITS:
            return f"{ALARM_EXITS} times or more in {WINDOW_S:.0f} s"
        return f"{self.in_a_row} times in a row, each within {IN_A_ROW_S:.0f} s of the last"
