"""A reader of sink_progress that runs while the faults happen: how long the tables stood still."""

import threading
import time

import psycopg

from tests.faults.tail import longest_gap_s, recovery_s

LOOK_S = 0.05
"""How finely a standstill is seen; a look costs the server 0.1 ms."""


class TableTail(threading.Thread):
    """Notes when each shard's tables moved on."""

    def __init__(self, database_url: str, shards: int) -> None:
        super().__init__(name="table tail", daemon=True)
        self._database_url = database_url
        self._stopping = threading.Event()
        self._shown: dict[int, int] = {}
        self.arrivals_s: dict[int, list[float]] = {shard: [] for shard in range(shards)}
        """Shard → when its progress was seen to have changed."""

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._database_url, connect_timeout=5, autocommit=True) as database:
                    while not self._stopping.wait(LOOK_S):
                        self._look(database)
            except psycopg.OperationalError:
                self._stopping.wait(LOOK_S)  # cut, or the server is down: that is what is being measured

    def finish(self) -> None:
        self._stopping.set()
        self.join()

    def recovery_s(self, fault_s: float) -> float | None:
        """As of the ledger's reader."""
        return recovery_s(self.arrivals_s, fault_s)

    def longest_gap_s(self, from_s: float, to_s: float) -> float:
        """As of the ledger's reader."""
        return longest_gap_s(self.arrivals_s, from_s, to_s)

    def _look(self, database: psycopg.Connection) -> None:
        for shard, offset in database.execute("SELECT shard, ledger_next_offset FROM sink_progress").fetchall():
            if self._shown.get(shard) != offset:
                self._shown[shard] = offset
                self.arrivals_s[shard].append(time.monotonic())
