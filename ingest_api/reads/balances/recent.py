"""The last records of one shard's ledger, by which a row of Postgres is brought forward. Pure."""

from collections import deque
from collections.abc import Iterator

from ingest_api.reads.balances.ledger_moves import Told


class Recent:
    """Records from `since` on, without a gap; the oldest go first."""

    def __init__(self, since: int, bytes_max: int) -> None:
        self.since = since
        self._bytes_max = bytes_max
        self._bytes = 0
        self._records: deque[Told] = deque()

    def append(self, told: Told) -> None:
        """The next one."""
        self._records.append(told)
        self._bytes += len(told.packed)
        while self._bytes > self._bytes_max:
            oldest = self._records.popleft()
            self.since = oldest.offset + 1
            self._bytes -= len(oldest.packed)

    def about(self, account: bytes, from_offset: int) -> Iterator[Told]:
        """Those from this offset on that name the account, in their order."""
        newer = []
        for told in reversed(self._records):
            if told.offset < from_offset:
                break
            if account in told.packed or account in told.disturbed:  # a search through bytes, 10 µs for 100 kB
                newer.append(told)
        return reversed(newer)
