"""Which inputs the ledger says are decided: runs of offsets, which have to hold every record that can be read."""

import bisect
from collections import defaultdict
from collections.abc import Iterable

Lane = tuple[int, str]
"""Shard, and source as the ledger names it."""


class DecidedRanges:
    """Runs of offsets per shard and source, in the order in which they were decided."""

    def __init__(self) -> None:
        self._firsts: defaultdict[Lane, list[int]] = defaultdict(list)
        self._nexts: defaultdict[Lane, list[int]] = defaultdict(list)

    def add(self, lane: Lane, first_offset: int, next_offset: int) -> bool:
        """One run more; False where it begins before the end of the last one."""
        is_new = first_offset >= self.end(lane) and next_offset > first_offset
        self._firsts[lane].append(first_offset)
        self._nexts[lane].append(max(next_offset, self.end(lane)))
        return is_new

    def end(self, lane: Lane) -> int:
        """One past the last input that is decided."""
        return self._nexts[lane][-1] if self._nexts[lane] else 0

    def missing(self, lane: Lane, offsets: Iterable[int]) -> list[int]:
        """Those of these offsets that no run holds, and that lie below the end of the last one."""
        firsts, nexts = self._firsts[lane], self._nexts[lane]
        behind = [offset for offset in offsets if offset < self.end(lane)]
        runs = [bisect.bisect_right(firsts, offset) - 1 for offset in behind]
        return [offset for offset, run in zip(behind, runs, strict=True) if run < 0 or offset >= nexts[run]]
