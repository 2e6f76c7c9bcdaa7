"""Goal: what the disk gives to the snapshot topic is what a fold of the ledger in memory gives."""

import pytest

from payments.book import Book, OperationsInMemory, evolve
from schemas import topics
from schemas.codec.ledger import decode_ledger_record
from schemas.codec.snapshots import AccountsPage, OperationsSegment, decode_snapshot
from streams.disk.accounts import page_of
from tests.streams.test_restore import busy_world, step_small
from tests.streams.world import World


def folded(world: World, shard: int, sequence: int) -> Book:
    """The book in memory after the ledger records below this number."""
    book = Book()
    for message in world.logs[topics.LEDGER.name, shard][:sequence]:
        for entry in decode_ledger_record(message.value()).entries():
            evolve(book, entry)
    return book


@pytest.mark.parametrize("seed", range(3))
def test_every_page_and_segment_is_exact_at_its_sequence(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    step_small(monkeypatch)
    world, pages, operations = busy_world(250, seed=seed), 0, 0
    for shard in range(world.shards):
        books: dict[int, Book] = {}
        for message in world.logs[topics.SNAPSHOTS.name, shard][::4]:
            snapshot = decode_snapshot(message.value())
            if snapshot.sequence not in books:
                books[snapshot.sequence] = folded(world, shard, snapshot.sequence)
            book = books[snapshot.sequence]
            if isinstance(snapshot, AccountsPage):
                assert isinstance(book.accounts, dict)
                expected = {id_: held for id_, held in book.accounts.items() if page_of(id_) == snapshot.page}
                assert snapshot.accounts == sorted(expected.items())
                pages += bool(expected)
            elif isinstance(snapshot, OperationsSegment):
                for operation_id, fingerprint in snapshot.operations:
                    assert book.operations.fingerprint_of(operation_id) == fingerprint
                operations += len(snapshot.operations)
    assert pages > 10
    assert operations > 40


def test_the_segments_hold_every_operation_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    step_small(monkeypatch)
    world = busy_world(600)
    for shard in range(world.shards):
        shown: list[tuple[bytes, bytes]] = []
        for message in world.logs[topics.SNAPSHOTS.name, shard]:
            snapshot = decode_snapshot(message.value())
            if isinstance(snapshot, OperationsSegment):
                assert (message.key() or b"") == b"operations-%d" % len(shown)
                shown += snapshot.operations
        book = folded(world, shard, world.tables[shard].sequence)
        assert isinstance(book.operations, OperationsInMemory)
        kept = [id_ for _, ids in book.operations._hours for id_ in ids]
        assert [id_ for id_, _ in shown] == kept[: len(shown)]
        assert len(kept) - len(shown) == len(world.tables[shard].unsaved)
