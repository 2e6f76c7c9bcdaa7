"""The open items of one shard: all on disk, those in use in memory, changed ones there until they may be written.

Reads the family `items`; writes into the database's batch. Key: page of the owner, owner, kind, item id, so that what
belongs to a page, and to an account, lies together; value: an Avro array of this one item, so that a page is put
together without decoding.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import cast

from payments.items.details import OPEN_ITEMS, OpenItem
from payments.items.endings import Ending
from payments.items.open_items import Item, ending_place
from schemas.codec.named import encode_items, read_items
from schemas.wire import write_array
from streams.disk.accounts import page_of
from streams.disk.database import Database
from streams.disk.endings import EndingsOnDisk

_KINDS: dict[type, bytes] = {kind: bytes([number]) for number, kind in enumerate(OPEN_ITEMS)}
CACHED_ITEMS = 20_000
"""Per shard, 400 bytes each, a risk profile 1,000: at most 20 MB. One that is not there costs 1 µs to find and 20 to
decode."""

_ROW_BYTES = 100
"""Key and value, 40 to 110 bytes. A journal of 64 legs has 1,560, a risk profile 600 and at most 4,100."""


class ItemsOnDisk:
    """`payments.items.open_items.Items`.

    Memory: what is cached, at most what 16,384 entries have met since the last write (with two items each another
    13 MB).
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._family = database.family("items")
        self._cached: dict[bytes, OpenItem] = {}
        """By key; those that have ended, too."""
        self._changed: defaultdict[int, set[bytes]] = defaultdict(set)
        """By page: keys of what the disk does not have yet."""
        self._endings = EndingsOnDisk(database)

    def find(self, kind: type[Item], owner: bytes, item_id: bytes) -> Item | None:
        """See `Items`. Raises StateDamaged."""
        key = _key(kind, owner, item_id)
        item = self._cached.get(key) or self._load(key)
        return cast(Item, item) if item is not None and item.is_open else None

    def put(self, item: OpenItem) -> None:
        """See `Items`. Nothing of it reaches the disk before `write`."""
        key = _key(type(item), item.owner, item.item_id)
        self._cached[key] = item
        self._changed[page_of(item.owner)].add(key)
        place = ending_place(item)
        if place is not None:
            (self._endings.add if item.is_open else self._endings.remove)(place)

    def of(self, owner: bytes) -> Iterator[OpenItem]:
        """See `Items`. Raises StateDamaged."""
        prefix, changed = _prefix(owner), self._changed.get(page_of(owner), set())
        for key in sorted(key for key in changed if key.startswith(prefix)):
            if self._cached[key].is_open:
                yield self._cached[key]
        for key, row in self._database.scan(self._family, prefix):
            if key not in changed:
                yield _unpacked(row)

    def due(self, now_us: int, at_most: int) -> Sequence[Ending]:
        """See `Items`. Raises StateDamaged."""
        return self._endings.due(self, now_us, at_most)

    def page(self, page: int) -> list[bytes]:
        """Every open item of a snapshot page, packed, in order of their keys: as of `joined`."""
        packed = dict(self._database.scan(self._family, bytes([page])))
        for key in self._changed.get(page, ()):
            item = self._cached[key]
            if item.is_open:
                packed[key] = encode_items([item])
            else:
                packed.pop(key, None)
        return [packed[key] for key in sorted(packed)]

    @property
    def changed_bytes(self) -> int:
        """About what `write` will put."""
        return _ROW_BYTES * sum(map(len, self._changed.values()))

    def write(self) -> None:
        """Put what has changed into the batch, which is written next."""
        batch, family = self._database.batch, self._family.handle
        for key in chain.from_iterable(self._changed.values()):
            item = self._cached[key]
            if item.is_open:
                batch.put(key, encode_items([item]), family)
            else:
                batch.delete(key, family)
        self._changed.clear()
        self._endings.write()

    def shrink(self) -> None:
        """Keep the memory bounded. After the batch was written: until then only the memory has the changes."""
        if len(self._cached) > CACHED_ITEMS:
            self._cached.clear()

    def _load(self, key: bytes) -> OpenItem | None:
        row = self._database.read(self._family, key)
        if row is None:
            return None
        item = self._cached[key] = _unpacked(row)
        return item


def joined(packed: Iterable[bytes]) -> bytes:
    """One Avro array of all these, which are arrays of one: a count, the item, and the end."""
    return write_array([array[1:-1] for array in packed])


def _unpacked(row: bytes) -> OpenItem:
    return read_items(memoryview(row), 0)[0][0]


def _prefix(owner: bytes) -> bytes:
    return bytes([page_of(owner)]) + owner


def _key(kind: type, owner: bytes, item_id: bytes) -> bytes:
    return _prefix(owner) + _KINDS[kind] + item_id
