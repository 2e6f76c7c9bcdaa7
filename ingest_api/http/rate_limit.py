"""One token bucket per client: a client that floods is told when to come back, the others do not notice.

Keeps at most 10,000 buckets; the client that was quiet longest is forgotten first, which only refills its bucket.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

_CLIENTS_MAX = 10_000
_NS = 1_000_000_000


class ClientRateLimit:
    """Commands per second and burst per client, for one process. Integers only: a wait that was told is enough."""

    def __init__(self, per_s: int, burst: int, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock_ns = clock_ns
        self._buckets: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Client → billionths of commands that it may send, and when (ns) that was so."""

    def retry_after_s(self, client: str, commands: int) -> int:
        """Take this many commands: 0, or the seconds after which the bucket holds enough (nothing is taken then)."""
        now_ns, wanted = self._clock_ns(), commands * _NS
        tokens, at_ns = self._buckets.pop(client, (self._burst * _NS, now_ns))
        tokens = min(self._burst * _NS, tokens + (now_ns - at_ns) * self._per_s)
        enough = tokens >= wanted
        self._buckets[client] = (tokens - wanted if enough else tokens, now_ns)
        if len(self._buckets) > _CLIENTS_MAX:
            self._buckets.popitem(last=False)
        return 0 if enough else -((tokens - wanted) // (self._per_s * _NS))
