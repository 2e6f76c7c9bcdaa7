"""Goal: a disk is believed only where it is a whole state of this ledger, and never holds what was not committed."""

import logging
import random
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from runtime.exactly_once.contract import Chunk
from schemas import topics
from streams.disk import book as book_on_disk
from streams.disk import checkpoint as checkpoints
from streams.disk import database
from streams.disk.book import BookOnDisk
from streams.disk.database import StateDamaged, StateRefused, Storage
from streams.restore import RestoredShard, restore
from tests.streams.accounts import account, deposit, funded
from tests.streams.clerk import Clerk
from tests.streams.stored import accounts_of, book_of, items_of, operations_of, remembered_of, state
from tests.streams.test_restore import busy_world, step_small
from tests.streams.world import AGENTS, Record, World, WorldLog


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    step_small(monkeypatch)


@pytest.fixture
def world() -> World:
    return busy_world(300)


def told(caplog: pytest.LogCaptureFixture) -> str:
    """What the restore warns of; clients of other tests may still be ending in threads of this process."""
    warnings = (record for record in caplog.records if record.levelno >= logging.WARNING)
    return " ".join(record.getMessage() for record in warnings if record.name.startswith("streams."))


def assert_discarded(world: World, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """The restore says why, and the state is the one of the log."""
    before = [state(world.tables[shard]) for shard in range(world.shards)]
    caplog.clear()
    world.restart(with_disk=True)
    assert reason in told(caplog)
    assert [state(world.tables[shard]) for shard in range(world.shards)] == before


def test_what_is_whole_is_believed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    log = WorldLog(world, 0)
    world.restart(with_disk=True)
    assert told(caplog) == ""
    world.tables.forget(0)
    restore(0, world.shards, cast(Any, log), Storage(world.folder)).book.close()
    assert 0 < log.ledger_records_read < len(world.logs[topics.LEDGER.name, 0]) / 2, "the checkpoint saved no reading"


def test_nothing_uncommitted_reaches_the_disk(world: World) -> None:
    """Decided and snapshotted, the transaction still open: the disk is what it was at the last commit."""
    owned = world.tables._owned[0]
    owned.book.write(owned.snapshots.checkpoint(world.now_ms))
    accounts, known, items = accounts_of(owned.shard), operations_of(owned.shard), items_of(owned.shard)
    received = remembered_of(owned.book.receipts)
    clerk, rng = Clerk(world, [account(number) for number in range(1, 50)]), random.Random(5)
    for _ in range(50):
        clerk.ask("hold", rng)
    world.send(*(deposit(account(number % 50 + 1), 1, f"uncommitted-{number}") for number in range(200)))
    waiting = world.logs[topics.COMMANDS.name, 0][world.decided[topics.COMMANDS.name, 0] :]
    chunk = Chunk(topics.COMMANDS.name, 0, cast(Any, waiting), lambda *_, **__: None)
    AGENTS[topics.COMMANDS.name](owned.shard, chunk)
    world.tables.before_commit([0], lambda *_, **__: None)
    assert owned.snapshots.checkpoint_due
    assert operations_of(owned.shard).keys() > known.keys()
    assert remembered_of(owned.book.receipts).keys() > received.keys()
    assert accounts_of(owned.shard) != accounts
    assert items_of(owned.shard) > items
    world.tables.forget(0)
    found = RestoredShard(0, world.shards, BookOnDisk(Storage(world.folder), 0, world.shards))
    assert accounts_of(found.shard) == accounts
    assert operations_of(found.shard) == known
    assert remembered_of(found.book.receipts) == received
    assert items_of(found.shard) == items
    found.book.close()


def test_a_crash_between_commit_and_disk_leaves_an_older_checkpoint(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Several cycles committed, none of them written to the disk."""
    world.tables.after_commit = lambda shards: None  # type: ignore[method-assign]
    for number in range(150):
        world.send(deposit(account(number % 50 + 1), 1, f"late-{number}"))
        world.settle()
    before = [state(world.tables[shard]) for shard in range(world.shards)]
    world.restart(with_disk=True)
    assert told(caplog) == ""
    assert [state(world.tables[shard]) for shard in range(world.shards)] == before


def test_the_disk_of_another_ledger_is_discarded(world: World, caplog: pytest.LogCaptureFixture) -> None:
    foreign = busy_world(300, seed=2)
    before = [state(world.tables[shard]) for shard in range(world.shards)]
    for shard in range(world.shards):
        foreign.tables.forget(shard)
        world.tables.forget(shard)
    shutil.rmtree(world.folder)
    shutil.copytree(foreign.folder, world.folder)
    world.restart(with_disk=True)
    assert "not a state of this ledger" in told(caplog)
    assert [state(world.tables[shard]) for shard in range(world.shards)] == before


def test_a_disk_ahead_of_the_ledger_is_discarded(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The log has lost its newest records, by a restored backup for instance: the disk must not know them."""
    world = World(1)
    funded(world, account(1))
    kept = {place: list(log) for place, log in world.logs.items()}
    expected = state(world.tables[0])
    for number in range(200):
        world.send(deposit(account(1), 1, f"lost-{number}"))
        world.settle()
    world.tables.forget(0)
    world.logs.clear()
    world.logs.update(kept)
    restored = restore(0, 1, cast(Any, WorldLog(world, 0)), Storage(world.folder))
    assert "ends at record" in told(caplog)
    assert state(restored.shard) == expected
    restored.book.close()


def test_another_number_of_shards_is_discarded(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.tables.forget(0)
    refused = BookOnDisk(Storage(world.folder), 0, world.shards + 1)
    assert refused.checkpoint is None
    assert refused.refused == "it was written with 2 shards, there are 3"
    refused.close()


def test_another_format_is_discarded(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = checkpoints.FORMAT
    monkeypatch.setattr(checkpoints, "FORMAT", written + 1)
    assert_discarded(world, caplog, f"its format is {written}, this program writes {written + 1}")


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST-*", "*.log"])
def test_a_damaged_folder_is_discarded(world: World, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """A damaged write-ahead log ends where the damage begins: that is an older checkpoint, which is believed."""
    before = [state(world.tables[shard]) for shard in range(world.shards)]
    for shard in range(world.shards):
        world.tables.forget(shard)
        for path in (world.folder / str(shard)).glob(name):
            content = bytearray(path.read_bytes())
            content[len(content) // 2 :] = bytes(byte ^ 0xFF for byte in content[len(content) // 2 :])
            path.write_bytes(content)
    world.restart(with_disk=True)
    assert "is discarded" in told(caplog) or name == "*.log"
    assert [state(world.tables[shard]) for shard in range(world.shards)] == before


def test_a_damaged_file_is_noticed_when_it_is_read_and_discarded_then(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    known = operations_of(world.tables[0])
    before = state(world.tables[0])
    world.restart(0, with_disk=True)
    book = book_of(world.tables[0])
    for family in book._database._families.values():
        family.rows.flush()
    world.tables.forget(0)
    for path in (world.folder / "0").glob("*.sst"):
        content = bytearray(path.read_bytes())
        content[: len(content) // 3] = bytes(len(content) // 3)
        path.write_bytes(content)
    world.restart(0, with_disk=True)
    if not told(caplog):  # RocksDB has not met the damage when it opened
        with pytest.raises(StateDamaged, match="orruption"):
            look_up_all(world, known)
        world.restart(0, with_disk=True)
    assert "is discarded" in told(caplog)
    assert state(world.tables[0]) == before


def look_up_all(world: World, ids: Iterable[bytes]) -> None:
    for operation_id in ids:
        book_of(world.tables[0]).operations.fingerprint_of(operation_id)


class _Cut(Exception):
    """The process ends here."""


class _CutLog(WorldLog):
    """A log whose reader is killed after so many records."""

    def __init__(self, world: World, records: int) -> None:
        super().__init__(world, 0)
        self._left = records

    def read(self, topic: str, start_offset: int = 0) -> Iterator[Record]:
        for record in super().read(topic, start_offset):
            if self._left == 0:
                raise _Cut
            self._left -= 1
            yield record


@pytest.mark.parametrize("share", [0.4, 0.7, 0.9, 0.99])
def test_a_restore_that_was_cut_off_begins_anew(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(book_on_disk, "PART_BYTES", 100)
    before = state(world.tables[0])
    world.tables.forget(0)
    shutil.rmtree(world.folder / "0")
    records = sum(len(world.logs[topic.name, 0]) for topic in (topics.SNAPSHOTS, topics.LEDGER))
    with pytest.raises(_Cut):
        restore(0, world.shards, cast(Any, _CutLog(world, int(share * records * 0.5))), Storage(world.folder))
    world.restart(0, with_disk=True)
    assert "did not come to its end" in told(caplog)
    assert state(world.tables[0]) == before


def test_a_worker_that_was_away_writes_over_no_segment_of_another(world: World) -> None:
    """Its disk is behind the segments that another worker has written since, and it goes on from there."""
    away = world.folder.with_name(world.folder.name + "-away")
    for shard in range(world.shards):
        world.tables.forget(shard)
    shutil.copytree(world.folder, away)
    world.restart()
    pay(world, "elsewhere", 150)
    for shard in range(world.shards):
        world.tables.forget(shard)
    shutil.rmtree(world.folder)
    away.rename(world.folder)
    world.now_ms += 3_600_000
    world.restart(with_disk=True)
    pay(world, "back", 150)
    before = [state(world.tables[shard]) for shard in range(world.shards)]
    world.restart()
    assert [state(world.tables[shard]) for shard in range(world.shards)] == before


def pay(world: World, prefix: str, count: int) -> None:
    for number in range(count):
        world.send(deposit(account(number % 50 + 1), 1, f"{prefix}-{number}"))
        world.settle()


def test_a_folder_in_use_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.3)
    holding = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    try:
        assert holding.stdout is not None
        assert holding.stdout.readline() == b"open\n"
        with pytest.raises(StateRefused, match=r"in use by another process.*MILLRACE_SLOT"):
            Storage(tmp_path).open(0)
    finally:
        holding.kill()
        holding.communicate()
    Storage(tmp_path).open(0).close()


def test_a_folder_that_is_let_go_of_soon_is_waited_for(tmp_path: Path) -> None:
    """Of a worker that was fenced a moment ago."""
    held = Storage(tmp_path).open(0)
    ending = threading.Timer(0.5, held.close)
    ending.start()
    Storage(tmp_path).open(0).close()
    ending.join()


_HOLD = """
import sys
from pathlib import Path
from streams.disk.database import Storage
database = Storage(Path(sys.argv[1])).open(0)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_full_disk_is_refused_with_what_to_do_and_the_books_are_right(tmp_path: Path) -> None:
    """A limit on the size of a file stands for the full disk: the same error of the same calls."""
    done = subprocess.run([sys.executable, "-c", _FILL, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert "StateRefused" in done.stdout, done.stdout + done.stderr
    assert "nothing is lost" in done.stdout
    opened = Storage(tmp_path).open(0)
    counted = sum(1 for _ in opened.scan(opened.family("default")))
    assert counted == int(done.stdout.split()[-1]), "a batch is there whole or not at all"
    opened.close()


_FILL = f"""
import os, resource, signal, sys
from pathlib import Path
from streams.disk.database import Storage
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
database = Storage(Path(sys.argv[1])).open(0)
family = database.family("default")
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, {resource.RLIM_INFINITY}))
written = 0
try:
    for _ in range(1_000):
        for _ in range(100):
            database.batch.put(os.urandom(16), os.urandom(200), family.handle)
        database.write()
        written += 100
except Exception as failure:
    print(type(failure).__name__, failure)
print("written", written)
"""
