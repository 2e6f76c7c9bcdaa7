"""Which items time ends, in the order in which it does: all on disk, what has changed since the last write in memory.

Reads the family `endings`; writes into the database's batch. Key: time, item id, owner and kind of the item, so that
what is due lies at the front; no value. An item whose time has moved leaves its old key behind until that time.
"""

from collections.abc import Iterator, Sequence
from heapq import merge
from struct import Struct

from payments.items.endings import Ending
from payments.items.open_items import EndingPlace, Items, ending_at
from streams.disk.database import Database

_KEY = Struct(">Q16s16sB")
_NONE_WAITING = b"\xff" * _KEY.size


class EndingsOnDisk:
    """Memory: 130 bytes for each item that was opened, moved or ended since the last write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._family = database.family("endings")
        self._changed: dict[bytes, bool] = {}
        """By key, what the disk does not have yet: True where it is there, False where it has gone."""
        self._soonest = _NONE_WAITING
        """No key that was added since the last write is before this one: most ticks need not look."""

    def add(self, place: EndingPlace) -> None:
        """An item that is open until then."""
        key = _KEY.pack(*place)
        self._changed[key] = True
        self._soonest = min(self._soonest, key)

    def remove(self, place: EndingPlace) -> None:
        """It has ended before."""
        self._changed[_KEY.pack(*place)] = False

    def due(self, items: Items, now_us: int, at_most: int) -> Sequence[Ending]:
        """See `Items`. Raises StateDamaged."""
        found: list[Ending] = []
        bound = _KEY.pack(now_us + 1, bytes(16), bytes(16), 0)
        for key in merge(self._written(bound), self._added(bound)):
            self._changed[key] = False
            item = ending_at(items, EndingPlace(*_KEY.unpack(key)))
            if item is not None:
                found.append(item)
                if len(found) == at_most:
                    break
        return found

    def _written(self, bound: bytes) -> Iterator[bytes]:
        for key, _ in self._database.scan(self._family):
            if key >= bound:
                return
            if key not in self._changed:
                yield key

    def _added(self, bound: bytes) -> Sequence[bytes]:
        if self._soonest >= bound:
            return ()
        return sorted(key for key, is_there in self._changed.items() if is_there and key < bound)

    def write(self) -> None:
        """Put what has changed into the batch, which is written next."""
        batch, family = self._database.batch, self._family.handle
        for key, is_there in self._changed.items():
            if is_there:
                batch.put(key, b"", family)
            else:
                batch.delete(key, family)
        self._changed.clear()
        self._soonest = _NONE_WAITING
