"""What the agents of this worker keep: one shard per owned partition, restored, snapshotted and forgotten by the
engine.

Reads ledger.snapshots and ledger.entries on restore; writes ledger.snapshots inside the transaction, and the worker's
disk behind it.
"""

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from runtime.exactly_once.contract import Produce, ShardLog
from schemas import topics
from streams.disk.database import Storage
from streams.restore import RestoredShard, restore
from streams.shard import SOURCES, Shard


def clock_ms() -> int:
    """This machine's clock. Only a hint where to begin to read a log."""
    return time.time_ns() // 1_000_000


class Tables:
    """The `ShardStore` of the deciding stage. One per process, with a folder that no other process uses."""

    input_topics = tuple(SOURCES)
    numbered_topics = (topics.CREDITS.name, topics.RETURNS.name)
    changelog_topics = (topics.SNAPSHOTS.name, topics.LEDGER.name)

    def __init__(self, shards: int, folder: Path, clock: Callable[[], int] = clock_ms) -> None:
        self._shards = shards
        self._storage = Storage(folder)
        self._clock = clock
        self._owned: dict[int, RestoredShard] = {}

    def __getitem__(self, shard: int) -> Shard:
        """The state of an owned shard. Raises KeyError for another's: nothing may be decided without its state."""
        return self._owned[shard].shard

    def restore(self, shard: int, log: ShardLog) -> Mapping[str, int]:
        """Rebuild a shard; returns the next undecided offset per input topic. Raises what `restore.restore` does."""
        restored = self._owned[shard] = restore(shard, self._shards, log, self._storage)
        return restored.shard.decided()

    def forget(self, shard: int) -> None:
        """Let go of a shard. Its folder stays as it is: what is newer is read from Kafka when the shard comes back."""
        owned = self._owned.pop(shard, None)
        if owned is not None:
            owned.book.close()

    def before_commit(self, shards: Collection[int], produce: Produce) -> None:
        for shard in shards:
            self._owned[shard].snapshots.step(produce)

    def after_commit(self, shards: Collection[int]) -> None:
        """Write the disk of the shards that are due: only now is what was decided true for ever.

        Raises StateRefused where the disk is full: the process ends, and nothing is lost.
        """
        for shard in shards:
            self._owned[shard].write_if_due(self._clock())
