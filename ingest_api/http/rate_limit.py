"""One token bucket per client: a client that floods is told when to come back, the others do not notice.

Keeps at most 10,000 buckets; the client that was quiet longest is forgotten first, which only refills its bucket.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

_CLIENTS_MAX = 10_000


class ClientRateLimit:
    """Commands per second and burst per client, for one process."""

    def __init__(self, per_s: int, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def retry_after_s(self, client: str, commands: int) -> int:
        """Take this many commands: 0, or the seconds after which the bucket holds enough (nothing is taken then)."""
        now = self._clock()
        tokens, at = self._buckets.pop(client, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        enough = tokens >= commands
        self._buckets[client] = (tokens - commands if enough else tokens, now)
        if len(self._buckets) > _CLIENTS_MAX:
            self._buckets.popitem(last=False)
        return 0 if enough else math.ceil((commands - tokens) / self._per_s)
