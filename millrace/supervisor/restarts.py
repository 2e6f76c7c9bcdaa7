"""When an exited service is started again, and when that becomes an alarm. Pure: the caller brings the time."""

from collections import deque
from dataclasses import dataclass, field

ALARM_EXITS = 5
WINDOW_S = 30.0
_FIRST_PAUSE_S = 0.2
_PAUSE_MAX_S = 5.0
"""A worker that can't start costs 1 s of CPU per try: at 5 s it takes at most a fifth of a core."""


@dataclass(slots=True)
class RestartHistory:
    """The exits of one service within the last 30 s (at most one per start, so bounded by the pauses)."""

    exits: deque[float] = field(default_factory=deque)

    def record_exit(self, now_s: float) -> float:
        """Answer the pause before the next start: none for the first exit of a window, then 0.2, 0.4 … 5 s."""
        self.exits.append(now_s)
        earlier = self.exits_recently(now_s) - 1
        return min(_FIRST_PAUSE_S * 2 ** (earlier - 1), _PAUSE_MAX_S) if earlier else 0.0

    def exits_recently(self, now_s: float) -> int:
        """Exits that are not older than the window."""
        while self.exits and self.exits[0] <= now_s - WINDOW_S:
            self.exits.popleft()
        return len(self.exits)

    def is_alarming(self, now_s: float) -> bool:
        """Five exits in 30 s: restarting does not help, somebody must look."""
        return self.exits_recently(now_s) >= ALARM_EXITS
