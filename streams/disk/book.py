"""The book of one shard on disk: accounts, operations and the segments written of them, under one checkpoint.

Guarantees: `write` is called behind the Kafka commit alone, and makes everything since the last one true in one batch.
A crash in between leaves the older checkpoint, from which the ledger is replayed.
"""

from collections.abc import Iterable

from payments.book import Book
from streams.disk.accounts import AccountsOnDisk
from streams.disk.checkpoint import Checkpoint, CheckpointStale, decode_checkpoint, encode_checkpoint
from streams.disk.database import MIB, Storage
from streams.disk.operations import OperationsOnDisk

PART_BYTES = MIB
"""A restore writes what it has read whenever so much has gathered: about 25,000 operations."""

_CHECKPOINT = b"checkpoint"
_INDEX_BYTES = 8
_HOUR_BYTES = 4


class BookOnDisk(Book):
    """`Book`, with what the snapshots need of it. Raises StateRefused and StateDamaged wherever it meets the disk."""

    accounts: AccountsOnDisk
    operations: OperationsOnDisk

    def __init__(self, storage: Storage, shard: int, shards: int) -> None:
        self._database = database = storage.open(shard)
        self._head = database.family("default")
        self._segments = database.family("segments")
        self._unfinished = False
        self.checkpoint: Checkpoint | None = None
        """Where the restore may begin; None for a state that is not whole."""
        self.refused = ""
        """Why there is no checkpoint although something lies on the disk."""
        self._read_checkpoint(shards)
        newest_hour = self.checkpoint.newest_hour if self.checkpoint else -1
        super().__init__(AccountsOnDisk(database), OperationsOnDisk(database, newest_hour))

    def _read_checkpoint(self, shards: int) -> None:
        found = self._database.read(self._head, _CHECKPOINT)
        if found is None:
            self.refused = "its restore did not come to its end" if self._database.is_used() else ""
            return
        try:
            self.checkpoint = decode_checkpoint(found, shards)
        except CheckpointStale as stale:
            self.refused = str(stale)

    def write(self, checkpoint: Checkpoint) -> None:
        """Everything since the last write, and up to where it is exact."""
        self._database.batch.put(_CHECKPOINT, encode_checkpoint(checkpoint), self._head.handle)
        self._write()

    def write_part_if_large(self) -> None:
        """During a restore: write what has gathered, and take the checkpoint away, because the state is not whole."""
        if self._database.batch.size_in_bytes() + self.accounts.changed_bytes >= PART_BYTES:
            self._database.batch.delete(_CHECKPOINT, self._head.handle)
            self._write()

    def _write(self) -> None:
        self.accounts.write()
        self._database.write()
        self.accounts.shrink()
        self.operations.written()

    def add_segment(self, first: int, hour: int) -> None:
        """A segment of the snapshot topic that begins with the operation of this number. Written with the batch."""
        key = first.to_bytes(_INDEX_BYTES, "big")
        self._database.batch.put(key, key + hour.to_bytes(_HOUR_BYTES, "big"), self._segments.handle)

    def forgotten_segments(self, before_hour: int, at_most: int) -> Iterable[int]:
        """The oldest segments, as far as they hold nothing from this hour on; they are taken off the list."""
        for row in self._database.scan(self._segments):
            hour = int.from_bytes(row[_INDEX_BYTES:], "big")
            if hour >= before_hour or at_most == 0:
                return
            at_most -= 1
            self._database.batch.delete(row[:_INDEX_BYTES], self._segments.handle)
            yield int.from_bytes(row[:_INDEX_BYTES], "big")

    def close(self) -> None:
        """Let go of the folder; what is not written is lost."""
        self._database.close()
