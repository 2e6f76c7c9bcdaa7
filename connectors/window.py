"""What of one partition is done, in whatever order it was: the base that is committed, and a map of what lies above it.

Calls outside end out of order, and one that takes a minute must not hold back the results of others; nor may a crash
make their requests look undone. So the committed offset (the lowest that is not done) carries, as its metadata, one
bit per offset above it, and both move in the transaction that writes the results.
"""

import base64
from typing import Final

WINDOW_OFFSETS: Final = 2_048
"""Offsets between the lowest not done and the last taken: 344 characters of metadata (the broker takes 4,096), and with
64 shards at most 131,072 requests of about 1 kB in memory."""


class Window:
    """One partition. Gaps (transaction markers) count as done."""

    def __init__(self, base: int, metadata: str = "") -> None:
        """Raises ValueError for metadata that is none of ours."""
        self._base = base
        self._next = base
        self._undone: dict[int, None] = {}
        self._done_before = base64.b64decode(metadata, validate=True)

    def take(self, offset: int) -> bool:
        """Whether this offset is to be done; False where it was, before the last start. Offsets ascend."""
        if offset < self._next:
            return False
        self._next = offset + 1
        if self._was_done(offset):
            return False
        self._undone[offset] = None
        return True

    def skip_to(self, end: int) -> bool:
        """Nothing but transaction markers lies below the end of the log; whether that moves the window on."""
        moves = end > self._next
        self._next = max(self._next, end)
        return moves

    def finish(self, offset: int) -> None:
        """It is done: its result is in the transaction that commits this window."""
        del self._undone[offset]

    @property
    def position(self) -> int:
        """The lowest offset that is not done: where the next start begins to read."""
        return next(iter(self._undone), self._next)

    @property
    def metadata(self) -> str:
        """What is done above the position; also of offsets that were not read again since the last start."""
        base = self.position
        end = max(self._next, self._base + 8 * len(self._done_before))
        done = bytearray((end - base + 7) // 8)
        for offset in range(base, end):
            if offset not in self._undone and (offset < self._next or self._was_done(offset)):
                done[(offset - base) // 8] |= 1 << (offset - base) % 8
        return base64.b64encode(done.rstrip(b"\0")).decode("ascii")

    @property
    def is_full(self) -> bool:
        """Nothing more may be taken before the oldest is done."""
        return self._next - self.position >= WINDOW_OFFSETS

    def _was_done(self, offset: int) -> bool:
        byte, bit = divmod(offset - self._base, 8)
        return byte < len(self._done_before) and bool(self._done_before[byte] >> bit & 1)
