"""Goal: what the disk gives to the snapshot topic is what a fold of the ledger in memory gives."""

from collections import defaultdict
from typing import cast

import pytest

from payments.accounts import Account
from payments.book import Book, OperationsInMemory, evolve
from payments.items.details import OpenItem
from payments.items.open_items import ItemsInMemory
from schemas import topics
from schemas.codec.ledger import decode_ledger_record
from schemas.codec.snapshots import AccountsPage, OperationsSegment, decode_snapshot
from streams.disk.accounts import page_of
from streams.snapshots import PAGES, segment_of
from tests.streams.stored import book_of, items_of
from tests.streams.test_restore import busy_world, step_small
from tests.streams.world import World

Taken = dict[tuple[int, int], list[AccountsPage]]
"""The parts of each page at each sequence."""


def folded(world: World, shard: int, sequence: int) -> Book:
    """The book in memory after the ledger records below this number."""
    book = Book()
    fold(book, world, shard, 0, sequence)
    return book


def fold(book: Book, world: World, shard: int, start: int, sequence: int) -> None:
    """Bring a book in memory forward over these ledger records."""
    for message in world.logs[topics.LEDGER.name, shard][start:sequence]:
        for entry in decode_ledger_record(message.value()).entries():
            evolve(book, entry)


def pages_of(world: World, shard: int) -> Taken:
    taken: Taken = defaultdict(list)
    for message in world.logs[topics.SNAPSHOTS.name, shard]:
        snapshot = decode_snapshot(message.value())
        if isinstance(snapshot, AccountsPage):
            taken[snapshot.sequence, snapshot.page].append(snapshot)
    return taken


def segments_of(world: World, shard: int, kind: str) -> list[tuple[int, OperationsSegment]]:
    """First item and content of the segments of a kind."""
    found = []
    for message in world.logs[topics.SNAPSHOTS.name, shard]:
        snapshot = decode_snapshot(message.value())
        if isinstance(snapshot, OperationsSegment) and segment_of(message.key() or b"")[0] == kind:
            found.append((segment_of(message.key() or b"")[1], snapshot))
    return found


def items_in(book: Book) -> set[OpenItem]:
    owners = cast(ItemsInMemory, book.items)._by_owner
    return {item for owner in list(owners) for item in book.items.of(owner)}


@pytest.mark.parametrize("seed", range(3))
def test_every_page_is_exact_at_its_sequence(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    step_small(monkeypatch)
    world, accounts, items, most_parts = busy_world(400, seed=seed), 0, 0, 0
    for shard in range(world.shards):
        book, at = Book(), 0
        for (sequence, page), parts in sorted(pages_of(world, shard).items()):
            fold(book, world, shard, at, sequence)
            at = sequence
            held = [item for item in cast(dict[bytes, Account], book.accounts).items() if page_of(item[0]) == page]
            assert [account for part in parts for account in part.accounts] == sorted(held)
            open_items = [item for part in parts for item in part.items]
            assert len(open_items) == len(set(open_items))
            assert set(open_items) == {item for item in items_in(book) if page_of(item.owner) == page}
            accounts, items, most_parts = accounts + len(held), items + len(open_items), max(most_parts, len(parts))
    assert accounts > 10
    assert items > 10
    assert most_parts > 1


@pytest.mark.parametrize("kind", ["operations", "receipts"])
def test_the_segments_hold_everything_remembered_once_and_in_order(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    step_small(monkeypatch)
    world = busy_world(600)
    for shard in range(world.shards):
        shown: list[tuple[bytes, bytes]] = []
        for first, segment in segments_of(world, shard, kind):
            assert first == len(shown)
            shown += segment.operations
        assert len(shown) > 40
        kept = vars(folded(world, shard, world.tables[shard].sequence))[kind]
        assert isinstance(kept, OperationsInMemory)
        ids = [id_ for _, hour in kept._hours for id_ in hour]
        assert [id_ for id_, _ in shown] == ids[: len(shown)]
        assert all(kept.fingerprint_of(id_) == fingerprint for id_, fingerprint in shown)
        assert len(ids) - len(shown) == len(book_of(world.tables[shard]).remembered[kind].unsaved)


def test_both_kinds_are_in_segments_below_the_newest_sequence_of_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a restore relies on, which has one number for both."""
    step_small(monkeypatch)
    world = busy_world(300)
    for shard in range(world.shards):
        shown = {kind: segments_of(world, shard, kind) for kind in ("operations", "receipts")}
        for sequence in {segment.sequence for segments in shown.values() for _, segment in segments}:
            book = folded(world, shard, sequence)
            for kind, segments in shown.items():
                saved = {id_ for _, part in segments if part.sequence <= sequence for id_, _ in part.operations}
                assert saved == set(vars(book)[kind]._fingerprints)


def test_the_disk_holds_the_items_that_a_fold_in_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    step_small(monkeypatch)
    world = busy_world(400)
    for shard in range(world.shards):
        book, on_disk = folded(world, shard, world.tables[shard].sequence), book_of(world.tables[shard])
        assert items_of(world.tables[shard]) == items_in(book) != set()
        assert on_disk.items.due(1 << 60, 1_000) == book.items.due(1 << 60, 1_000) != []


def test_no_page_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    step_small(monkeypatch)
    world = busy_world(300)
    for shard in range(world.shards):
        assert {page for _, page in pages_of(world, shard)} == set(range(PAGES))
