"""The guarantee of the whole engine as one function: what a cycle decided becomes true in one transaction.

Reads the cycle's delivered offsets; writes the store's last records, the group's offsets and the commit. A crash in any
gap leaves either nothing or everything of the cycle.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import TopicPartition

from runtime.exactly_once.contract import Chunk, ShardStore
from runtime.exactly_once.crash import crash
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.membership import Membership
from runtime.exactly_once.restore import Partition
from runtime.exactly_once.transaction import TransactionProducer


@dataclass
class Cycle:
    """What was delivered since the last commit. Offsets come from here, never from the consumer's position."""

    offsets: dict[Partition, int] = field(default_factory=dict)
    epochs: dict[Partition, int] = field(default_factory=dict)
    opened_at_s: float = 0.0
    undecided: int = 0

    def add(self, chunks: Sequence[Chunk], epochs: dict[Partition, int]) -> None:
        """Chunks are about to be delivered, under these ownership epochs."""
        if not self.offsets:
            self.opened_at_s = time.monotonic()
        for chunk in chunks:
            partition = (chunk.topic, chunk.shard)
            self.offsets[partition] = chunk.next_offset
            # the first epoch of the cycle stays: a partition that left and came back in between must not be committed
            self.epochs.setdefault(partition, epochs[partition])
        self.undecided += len(chunks)

    def decided(self, chunks: int) -> None:
        """The driver has come back from the barrier for this many chunks."""
        self.undecided -= chunks

    @property
    def shards(self) -> set[int]:
        return {shard for _, shard in self.offsets}


def commit_cycle(
    cycle: Cycle, store: ShardStore, membership: Membership, producer: TransactionProducer, failpoints: Failpoints
) -> float:
    """Make the cycle true. Returns the seconds it took. Ends the process (exit 75) on any doubt, without an abort."""
    started_s = time.monotonic()
    # 1. Barrier: every delivered chunk is decided and its records are handed to the producer.
    #    Crash before: the transaction has no commit; the next incarnation of the slot aborts it and redoes the chunks.
    if cycle.undecided:
        crash(f"{cycle.undecided} chunks delivered and not decided at the commit")
    failpoints.reach("before_commit")
    # 2. The store's last writes belong to the same transaction.
    producer.open()
    store.before_commit(cycle.shards, producer.produce)
    # 3. Refuse unless this process is a member and has owned every partition without a break since it was delivered.
    #    A zombie ends here; one that passes is fenced by the generation in step 5 or by the producer epoch in 4-6.
    membership.group_metadata()
    refuse_unless_owned(cycle, membership)
    # 4. All records on the broker. Crash after: as before step 1, nothing is committed.
    producer.flush()
    failpoints.reach("after_flush")
    # 5. The input offsets join the transaction. Crash after: they are pending; `committed` of the next owner waits
    #    until
    #    the transaction is aborted, and the chunks are redone.
    ending_s = time.monotonic()
    metadata = membership.group_metadata()  # again: KIP-848 may have bumped the epoch during the flush
    producer.send_offsets([TopicPartition(t, p, offset) for (t, p), offset in cycle.offsets.items()], metadata)
    failpoints.reach("after_offsets")
    # 6. Commit. Crash inside: the coordinator has written its decision or not; restart finds all of the cycle or none,
    #    and the restore waits for markers that are still under way.
    producer.commit()
    ended_in_s = time.monotonic() - ending_s
    failpoints.reach("after_commit")
    # 7. Only now may anyone hear of it. Crash before: the state is rebuilt from the log, which has the cycle.
    membership.committed_up_to(cycle.offsets)
    store.after_commit(cycle.shards)
    took_s = time.monotonic() - started_s
    # 8. Begin the next transaction, under a new producer epoch if this one ended slowly or met errors. A slow flush
    #    alone leaves nothing under way, and on a busy machine a new epoch for each would cost another 0.5-4 s.
    producer.renew(ended_in_s)
    return took_s


def refuse_unless_owned(cycle: Cycle, membership: Membership) -> None:
    """End the process if a delivered partition was given away since."""
    for partition, epoch in cycle.epochs.items():
        if membership.epochs.get(partition) != epoch:
            crash(f"{partition[0]}[{partition[1]}] not owned continuously since its delivery: refusing to commit")
