"""What the agents of this worker keep: one shard per owned partition, restored, snapshotted and forgotten by the
engine.

Reads ledger.snapshots and ledger.entries on restore; writes ledger.snapshots inside the transaction.
"""

from collections.abc import Collection, Mapping

from runtime.exactly_once.contract import Produce, ShardLog
from schemas import topics
from streams.restore import Restoration
from streams.shard import SOURCES, Shard
from streams.snapshots import SnapshotWriter


class Tables:
    """The `ShardStore` of the deciding stage. One per process."""

    input_topics = tuple(SOURCES)
    numbered_topics = (topics.CREDITS.name, topics.RETURNS.name)
    changelog_topics = (topics.SNAPSHOTS.name, topics.LEDGER.name)

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._owned: dict[int, Shard] = {}
        self._snapshots: dict[int, SnapshotWriter] = {}

    def __getitem__(self, shard: int) -> Shard:
        """The state of an owned shard. Raises KeyError for another's: nothing may be decided without its state."""
        return self._owned[shard]

    def restore(self, shard: int, log: ShardLog) -> Mapping[str, int]:
        """Rebuild a shard; returns the next undecided offset per input topic."""
        restoration = Restoration(shard, self._shards, log)
        restored = self._owned[shard] = restoration.run()
        self._snapshots[shard] = SnapshotWriter(
            restored, restoration.kept_operations, restoration.slots, restoration.page_ages
        )
        return {
            topic: restored.next_offsets[source] for topic, source in SOURCES.items() if source in restored.next_offsets
        }

    def forget(self, shard: int) -> None:
        self._owned.pop(shard, None)
        self._snapshots.pop(shard, None)

    def before_commit(self, shards: Collection[int], produce: Produce) -> None:
        for shard in shards:
            self._snapshots[shard].step(produce)

    def after_commit(self, shards: Collection[int]) -> None:
        """Nothing to do: what was decided is in memory, and the log has it."""
