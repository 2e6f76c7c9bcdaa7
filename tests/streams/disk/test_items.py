"""Goal: items on disk are the items in memory, wherever they were written and opened again."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.items.details import OPEN_ITEMS, AttemptSettlement, GivenBack, Hold, OpenItem, PaymentOrder
from payments.items.open_items import ItemsInMemory
from schemas.codec.named import read_items
from streams.disk import book as book_on_disk
from streams.disk import items as items_on_disk
from streams.disk.accounts import page_of
from streams.disk.database import Storage
from streams.disk.items import ItemsOnDisk, joined
from tests.schemas import records
from tests.streams.accounts import account

OWNERS = [account(1), account(2), bytes([1]) * 15 + account(1)[-1:], bytes(16)]
"""Two of one page, and a system account, which owns a journal when its first leg is one."""

NAMES = [(owner, bytes([number, place]) * 8) for place, owner in enumerate(OWNERS) for number in range(4)]
OWNER, ITEM_ID = NAMES[1]


def named(item: OpenItem, name: tuple[bytes, bytes]) -> OpenItem:
    """The item under a name that comes again; its hold expires when it always did, others end when they say."""
    item = item._replace(owner=name[0], item_id=name[1])
    if isinstance(item, Hold):
        return item._replace(expires_at_us=name[1][0] % 3)
    if isinstance(item, GivenBack | PaymentOrder | AttemptSettlement):
        return item._replace(ends_at_us=item.ends_at_us % 3)
    return item


puts = st.builds(named, records.open_items, st.sampled_from(NAMES))
steps = st.lists(st.tuples(puts, st.sampled_from(["", "", "", "written", "opened again"])), max_size=40)


class OnDisk:
    """Items that are written and opened again as a worker would."""

    def __init__(self, folder: Path) -> None:
        self._storage = Storage(folder)
        self._open()

    def _open(self) -> None:
        self._database = self._storage.open(0)
        self.items = ItemsOnDisk(self._database)

    def write(self) -> None:
        self.items.write()
        self._database.write()
        self.items.shrink()

    def open_again(self) -> None:
        self.write()
        self.close()
        self._open()

    def close(self) -> None:
        self._database.close()


def of_kinds(items: Iterable[OpenItem]) -> set[tuple[type[OpenItem], OpenItem]]:
    """Items of two kinds may have the same fields, and tuples with the same fields are equal."""
    return {(type(item), item) for item in items}


def assert_equal(stored: ItemsOnDisk, memory: ItemsInMemory) -> None:
    for owner in OWNERS:
        kept = list(stored.of(owner))
        assert len(kept) == len(of_kinds(kept))
        assert of_kinds(kept) == of_kinds(memory.of(owner))
    for kind in OPEN_ITEMS:
        for owner, item_id in NAMES:
            assert stored.find(kind, owner, item_id) == memory.find(kind, owner, item_id)
    for page in {page_of(owner) for owner in OWNERS}:
        packed = joined(stored.page(page))
        items, length = read_items(memoryview(packed), 0)
        assert length == len(packed)
        assert of_kinds(items) == of_kinds(
            item for owner in OWNERS if page_of(owner) == page for item in memory.of(owner)
        )


@settings(max_examples=50)
@given(steps=steps, cached=st.sampled_from([0, 3, items_on_disk.CACHED_ITEMS]))
def test_the_disk_holds_what_the_memory_holds(steps: list[tuple[OpenItem, str]], cached: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(items_on_disk, "CACHED_ITEMS", cached)
        stored, memory = OnDisk(Path(folder)), ItemsInMemory()
        for item, then in steps:
            stored.items.put(item)
            memory.put(item)
            assert stored.items.find(type(item), item.owner, item.item_id) == (item if item.is_open else None)
            if then == "written":
                stored.write()
            elif then == "opened again":
                stored.open_again()
        assert_equal(stored.items, memory)
        stored.open_again()
        assert_equal(stored.items, memory)
        for now_us in range(3):
            assert stored.items.due(now_us, 100) == memory.due(now_us, 100)
        stored.close()


def test_holds_that_were_written_expire_in_their_order_after_a_restart(tmp_path: Path) -> None:
    stored = OnDisk(tmp_path)
    holds = [
        Hold(bytes([number]) * 16, account(number), account(1), 5, 0, "EUR", 1_000 - number, is_open=True)
        for number in range(1, 60)
    ]
    for hold in holds:
        stored.items.put(hold)
        stored.items.put(GivenBack(hold.item_id, hold.owner, 9, 1, 0, ends_at_us=5_000))
    stored.open_again()
    assert stored.items.due(970, 10) == holds[:-11:-1]
    assert stored.items.due(970, 100) == holds[-11:28:-1]
    assert stored.items.due(970, 100) == []
    stored.close()


def test_what_is_not_written_is_lost(tmp_path: Path) -> None:
    """The disk follows the Kafka commit alone."""
    stored, item = OnDisk(tmp_path), GivenBack(ITEM_ID, OWNER, 9, 1, 0)
    stored.items.put(item)
    stored.write()
    stored.items.put(item._replace(refunded_minor=5))
    stored.close()
    stored._open()
    assert list(stored.items.of(OWNER)) == [item]
    stored.close()


def test_what_has_changed_is_counted_and_let_go_of_when_it_is_written(tmp_path: Path) -> None:
    stored = OnDisk(tmp_path)
    for number in range(1, 1_001):
        stored.items.put(GivenBack(number.to_bytes(16, "big"), account(number), 9, 1, 0))
    assert 1_000 * 74 <= stored.items.changed_bytes < book_on_disk.PART_BYTES
    stored.write()
    assert stored.items.changed_bytes == 0
    assert not stored.items._changed
    stored.close()


@pytest.mark.parametrize("kind", OPEN_ITEMS)
def test_an_item_is_found_under_its_own_kind_alone(tmp_path: Path, kind: type[OpenItem]) -> None:
    stored, hold = OnDisk(tmp_path), Hold(ITEM_ID, OWNER, account(9), 5, 0, "EUR", 1, is_open=True)
    stored.items.put(hold)
    stored.write()
    assert stored.items.find(kind, OWNER, ITEM_ID) == (hold if kind is Hold else None)
    stored.close()
