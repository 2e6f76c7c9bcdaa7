"""Read your own writes: what a client has written, so that its reads show at least that.

Keeps the furthest position in each shard that an answer's Consistency-Token has named, for the shards written to last.
One token of the newest write would forget a write to another shard.
"""

import threading
from collections import OrderedDict
from typing import Final

from schemas.codec.positions import decode_positions, encode_positions

HEADER: Final = "Consistency-Token"
_SHARDS_MAX: Final = 64
"""× about 14 characters: the header stays below 1.2 kB."""


class Positions:
    """Of one client. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._furthest: OrderedDict[int, int] = OrderedDict()

    def note(self, token: str | None) -> None:
        """Take an answer's token into account; one that can't be read is passed over."""
        try:
            positions = decode_positions(token) if token else {}
        except ValueError:
            return
        with self._lock:
            for shard, offset in positions.items():
                self._furthest[shard] = max(offset, self._furthest.pop(shard, 0))
            while len(self._furthest) > _SHARDS_MAX:
                self._furthest.popitem(last=False)

    def token(self) -> str | None:
        """What a read has to carry, or None before the first write."""
        with self._lock:
            return encode_positions(self._furthest) if self._furthest else None
