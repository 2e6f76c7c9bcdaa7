"""The book of one shard on disk: accounts, open items, operations and receipts, under one checkpoint.

Guarantees: `write` is called behind the Kafka commit alone, and makes everything since the last one true in one batch.
A crash in between leaves the older checkpoint, from which the ledger is replayed.
"""

from payments.book import Book
from streams.disk.accounts import AccountsOnDisk
from streams.disk.checkpoint import Checkpoint, CheckpointStale, Remembered, decode_checkpoint, encode_checkpoint
from streams.disk.database import MIB, Database, Storage
from streams.disk.items import ItemsOnDisk
from streams.disk.operations import OPERATIONS, RECEIPTS, OperationsOnDisk

PART_BYTES = MIB
"""A restore writes what it has read whenever so much has gathered: about 25,000 operations."""

_CHECKPOINT = b"checkpoint"


class BookOnDisk(Book):
    """`Book`, with what the snapshots need of it. Raises StateRefused and StateDamaged wherever it meets the disk."""

    accounts: AccountsOnDisk
    items: ItemsOnDisk
    operations: OperationsOnDisk
    receipts: OperationsOnDisk

    def __init__(self, storage: Storage, shard: int, shards: int) -> None:
        self.checkpoint: Checkpoint | None = None
        """Where the restore may begin; None for a state that is not whole."""
        self.refused = ""
        """Why there is no checkpoint although something lies on the disk."""
        self._database = database = storage.open(shard)
        try:
            self._head = database.family("default")
            self._read_checkpoint(shards)
            self._open(database)
        except BaseException:
            database.close()
            raise

    def _open(self, database: Database) -> None:
        operations, receipts = Remembered(), Remembered()
        if self.checkpoint is not None:
            operations, receipts = self.checkpoint.operations, self.checkpoint.receipts
        super().__init__(
            AccountsOnDisk(database),
            OperationsOnDisk(database, OPERATIONS, operations),
            ItemsOnDisk(database),
            OperationsOnDisk(database, RECEIPTS, receipts),
        )
        self.remembered = {kept.window.name: kept for kept in (self.operations, self.receipts)}
        """What is remembered in windows, by its name."""

    @property
    def has_unsaved(self) -> bool:
        """Whether something is remembered that no segment of the snapshot topic has."""
        return any(kept.unsaved for kept in self.remembered.values())

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
        changed_bytes = self.accounts.changed_bytes + self.items.changed_bytes
        if self._database.batch.size_in_bytes() + changed_bytes >= PART_BYTES:
            self._database.batch.delete(_CHECKPOINT, self._head.handle)
            self._write()

    def _write(self) -> None:
        self.accounts.write()
        self.items.write()
        self._database.write()
        self.accounts.shrink()
        self.items.shrink()
        for kept in self.remembered.values():
            kept.written()

    def close(self) -> None:
        """Let go of the folder; what is not written is lost."""
        self._database.close()
