"""One RocksDB per shard: families of keys, one batch that is written whole or not at all.

Reads and writes one folder that nobody else may have open. Knows nothing of payments. Losing the last writes (power
failure: the write-ahead log is not synced) or all of them is no fault: Kafka has everything, and the shard is restored
from there. So whatever looks damaged is deleted, never repaired.
"""

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from rocksdict import (
    BlockBasedOptions,
    Cache,
    ColumnFamily,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
)

LOGGER = logging.getLogger(__name__)

MIB = 1 << 20
BLOCK_CACHE_BYTES = 32 * MIB
"""Shared by all shards of the process. Blocks are read for keys that are there; the others end at the filters."""

MEMTABLE_BYTES = 8 * MIB
MEMTABLES_BYTES = 16 * MIB
"""Per shard: about 150,000 keys wait in memory for their first file. The write-ahead log is held to the same size: it
is read when the shard opens, 16 MiB in 0.2 s."""

FILTER_BITS = 10
"""Per key, 1.25 bytes of memory each: of 100 files that don't have a key, one is read for nothing."""

OPEN_FILES_ALL = -1
"""Indexes and filters are read once, when the shard opens: a miss must not cost a disk read."""


class Family:
    """Keys of one kind."""

    __slots__ = ("handle", "name", "rows")

    def __init__(self, name: str, rows: Rdict, handle: ColumnFamily) -> None:
        self.name = name
        self.rows = rows
        self.handle = handle

    def close(self) -> None:
        """Let go of it: a handle that somebody still has keeps the folder locked."""
        self.rows.close()
        del self.handle


LOCK_WAIT_S = 5.0
"""How long a process that is ending, or was fenced by this one, may still hold the folder."""


class StateRefused(Exception):
    """The disk or another process keeps the shard from its state; the text says what to do."""


class StateInUse(StateRefused):
    """Another process has the folder open."""


class StateDamaged(Exception):
    """What lies in the folder can't be trusted."""


class Storage:
    """Where a worker's shards lie: one folder per slot, one below it per shard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cache = Cache(BLOCK_CACHE_BYTES)

    def open(self, shard: int) -> "Database":
        """The shard's database, empty where there was none. Raises StateRefused and StateDamaged."""
        deadline_s = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return Database(self._of(shard), self._options())
            except StateInUse:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)

    def wipe(self, shard: int) -> None:
        """Delete what lies on the disk of a shard whose database is closed. Raises StateRefused where that fails."""
        try:
            shutil.rmtree(self._of(shard))
        except FileNotFoundError:
            return
        except OSError as failure:
            raise _told_apart(self._of(shard), failure) from failure

    def _of(self, shard: int) -> Path:
        return self.folder / str(shard)

    def _options(self) -> Options:
        table = BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_bloom_filter(FILTER_BITS, False)
        table.set_format_version(5)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_block_based_table_factory(table)
        options.set_max_open_files(OPEN_FILES_ALL)
        options.set_write_buffer_size(MEMTABLE_BYTES)
        options.set_db_write_buffer_size(MEMTABLES_BYTES)
        options.set_max_total_wal_size(MEMTABLES_BYTES)
        options.set_memtable_whole_key_filtering(True)
        options.set_memtable_prefix_bloom_ratio(0.1)
        options.set_compression_type(DBCompressionType.none())  # ids and fingerprints are random: nothing to gain
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(MIB)
        return options


class Database:
    """The open database of one shard. `batch` collects; `write` makes it true."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder = folder
        self._condemned = folder / "condemned"
        self._options = options
        self._families: dict[str, Family] = {}
        self.batch = WriteBatch(raw_mode=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._rows = Rdict(str(folder), options, column_families=self._found())
        except Exception as failure:  # all that the binding ever raises
            raise _told_apart(folder, failure) from failure
        if self._condemned.exists():
            self.close()
            raise StateDamaged(self._condemned.read_text())

    def _found(self) -> dict[str, Options]:
        if not (self._folder / "CURRENT").exists():
            return {}
        return dict.fromkeys(Rdict.list_cf(str(self._folder), self._options), self._options)

    def is_used(self) -> bool:
        """True where anything was ever written."""
        return self._rows.latest_sequence_number() > 0

    def names(self) -> list[str]:
        """All families on disk."""
        return list(self._found())

    def family(self, name: str) -> Family:
        """A family, made where it is missing."""
        family = self._families.get(name)
        if family is None:
            if name not in self._found():
                self._rows.create_column_family(name, self._options).close()
            family = Family(name, self._rows.get_column_family(name), self._rows.get_column_family_handle(name))
            self._families[name] = family
        return family

    def drop(self, name: str) -> None:
        """Delete a family with all of its files: no compaction, no tombstones."""
        family = self._families.pop(name, None)
        if family is not None:
            family.close()
        self._rows.drop_column_family(name)

    def read(self, family: Family, key: bytes) -> bytes | None:
        """The value of a key, of what is written. Raises StateDamaged."""
        try:
            value: bytes | None = family.rows.get(key)
        except Exception as failure:
            raise self.refused(failure) from failure
        return value

    def scan(self, family: Family, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin so, in order, with their values, of what is written. Raises StateDamaged.

        The binding's own `values()` ends in silence where a block can't be read; `status` says so.
        """
        rows = family.rows.iter()
        try:
            rows.seek(prefix)
            while rows.valid() and (key := rows.key()).startswith(prefix):
                yield key, rows.value()
                rows.next()
            rows.status()
        except Exception as failure:
            raise self.refused(failure) from failure

    def write(self) -> None:
        """Write the batch whole, and begin another. Raises StateRefused and StateDamaged."""
        batch, self.batch = self.batch, WriteBatch(raw_mode=True)
        try:
            self._rows.write(batch)
        except Exception as failure:
            raise self.refused(failure) from failure

    def refused(self, failure: Exception) -> Exception:
        """What the failure means. Damage is noted in the folder, so that the next opening does not trust it."""
        refusal = _told_apart(self._folder, failure)
        if isinstance(refusal, StateDamaged):
            self._condemned.write_text(str(refusal))
        return refusal

    def close(self) -> None:
        """Let go of the folder. What is in the batch is lost."""
        for family in self._families.values():
            family.close()
        self._families.clear()
        self._rows.close()


def _told_apart(folder: Path, failure: Exception) -> StateRefused | StateDamaged:
    """What a failure of RocksDB, which has only text, asks for: an operator, or another restore from Kafka."""
    text = str(failure)
    if "/LOCK" in text:
        return StateInUse(
            f"{folder} is in use by another process: two workers with one slot? Give each its own MILLRACE_SLOT,"
            f" or its own MILLRACE_STATE_DIR ({text})"
        )
    if isinstance(failure, OSError) or (text.startswith("IO error") and "No such file" not in text):
        return StateRefused(
            f"{folder} can't be used: free or repair that disk, or set MILLRACE_STATE_DIR to another; nothing is lost,"
            f" Kafka has the state ({text})"
        )
    return StateDamaged(f"{folder}: {text}")
