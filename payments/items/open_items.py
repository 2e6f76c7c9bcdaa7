"""The open items of one shard: kept by their owner, and holds in the order of their expiry."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar, cast

from payments.items.details import Hold, OpenItem

Item = TypeVar("Item", bound=OpenItem)


class Items(Protocol):
    """The open items of one shard, by their owner."""

    def find(self, kind: type[Item], owner: bytes, item_id: bytes) -> Item | None:
        """The open item, or None where it never was or has ended."""
        ...

    def put(self, item: OpenItem) -> None:
        """Keep an item as it stands now, or forget it where it has ended."""
        ...

    def of(self, owner: bytes) -> Iterable[OpenItem]:
        """All open items of an account."""
        ...

    def due_holds(self, now_us: int, at_most: int) -> Sequence[Hold]:
        """Open holds that have expired by now, the earliest first."""
        ...


class ItemsInMemory:
    """`Items` for books that are folded, replayed or audited."""

    def __init__(self) -> None:
        self._by_owner: defaultdict[bytes, dict[tuple[type, bytes], OpenItem]] = defaultdict(dict)
        self._expiries = ExpiryQueue()

    def find(self, kind: type[Item], owner: bytes, item_id: bytes) -> Item | None:
        """See `Items`."""
        return cast("Item | None", self._by_owner[owner].get((kind, item_id))) if owner in self._by_owner else None

    def put(self, item: OpenItem) -> None:
        """See `Items`."""
        if item.is_open:
            self._by_owner[item.owner][type(item), item.item_id] = item
        else:
            self._by_owner[item.owner].pop((type(item), item.item_id), None)
        if isinstance(item, Hold) and item.is_open:
            self._expiries.add(item)

    def of(self, owner: bytes) -> Iterable[OpenItem]:
        """See `Items`."""
        return list(self._by_owner.get(owner, {}).values())

    def due_holds(self, now_us: int, at_most: int) -> Sequence[Hold]:
        """See `Items`."""
        return self._expiries.due(self, now_us, at_most)


class ExpiryQueue:
    """When holds expire: 100 bytes for each one ever opened, until its time has come."""

    def __init__(self) -> None:
        self._queue: list[tuple[int, bytes, bytes]] = []
        self._queued: set[tuple[int, bytes, bytes]] = set()

    def add(self, hold: Hold) -> None:
        """An open hold; one that was added before changes nothing, because its expiry never moves."""
        place = hold.expires_at_us, hold.item_id, hold.owner
        if place not in self._queued:
            self._queued.add(place)
            heapq.heappush(self._queue, place)

    def due(self, items: Items, now_us: int, at_most: int) -> Sequence[Hold]:
        """Those that are open and due, by expiry and then by id, so that every replay meets them in the same order."""
        found: list[Hold] = []
        while self._queue and self._queue[0][0] <= now_us and len(found) < at_most:
            place = expires_at_us, hold_id, owner = heapq.heappop(self._queue)
            self._queued.discard(place)
            hold = items.find(Hold, owner, hold_id)
            if hold is not None and hold.expires_at_us == expires_at_us:  # else it has ended and its id began another
                found.append(hold)
        return found
