"""Up to where the state on disk is exact, and what else a shard needs to go on from there.

Written in one batch with the state that it speaks of. Its absence says that the state is not whole.
"""

import msgspec

from schemas.codec.ledger import Counter, Lane

FORMAT = 4
"""Raise it when anything on the disk changes its form: what has another number is restored from Kafka."""


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """How far one kind of what is remembered has come."""

    newest_hour: int = -1
    count: int = 0
    """Ever remembered, forgotten ones included. The same number in every replay."""


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """The state after the ledger records below `sequence`. Hours and times are broker time."""

    format: int
    shards: int
    sequence: int
    previous_hash: bytes
    appended_ms: int
    """The ledger record before `sequence`, and the one at `saved_from`, were appended at about this time or later. A
    hint where to begin to read; being wrong costs time."""

    saved_from: int
    """Operations and receipts of ledger records below this number are in segments of the snapshot topic."""

    time_us: int
    lanes: dict[int, dict[int, int]]
    next_offsets: dict[str, int]
    operations: Remembered
    receipts: Remembered
    next_page: int
    entries: int
    """Since the last page was written."""

    def counters(self) -> list[Counter]:
        """The lanes as snapshots have them."""
        return [Counter(Lane(lane), peer, n) for lane, peers in self.lanes.items() for peer, n in peers.items()]


class CheckpointStale(Exception):
    """The state on disk does not belong to this ledger, or nothing can be restored from it; the text says why."""


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    return msgspec.msgpack.encode(checkpoint)


def decode_checkpoint(value: bytes, shards: int) -> Checkpoint:
    """Raises CheckpointStale for another format or number of shards."""
    try:
        checkpoint = msgspec.msgpack.decode(value, type=Checkpoint)
    except msgspec.DecodeError as error:
        raise CheckpointStale(f"its checkpoint is of another format ({error})") from error
    if checkpoint.format != FORMAT:
        raise CheckpointStale(f"its format is {checkpoint.format}, this program writes {FORMAT}")
    if checkpoint.shards != shards:
        raise CheckpointStale(f"it was written with {checkpoint.shards} shards, there are {shards}")
    return checkpoint
