"""The open items of one shard: kept by their owner, and those that time ends in the order in which it does."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar, cast

from payments.items.details import OPEN_ITEMS, OpenItem
from payments.items.endings import Ending, end_of

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

    def due(self, now_us: int, at_most: int) -> Sequence[Ending]:
        """Open items whose time has come by now, the earliest first, each once: whoever asks ends or moves them."""
        ...


class ItemsInMemory:
    """`Items` for books that are folded, replayed or audited."""

    def __init__(self) -> None:
        self._by_owner: defaultdict[bytes, dict[tuple[type, bytes], OpenItem]] = defaultdict(dict)
        self._endings: list[EndingPlace] = []
        self._queued: set[EndingPlace] = set()

    def find(self, kind: type[Item], owner: bytes, item_id: bytes) -> Item | None:
        """See `Items`."""
        return cast("Item | None", self._by_owner[owner].get((kind, item_id))) if owner in self._by_owner else None

    def put(self, item: OpenItem) -> None:
        """See `Items`."""
        if not item.is_open:
            self._by_owner[item.owner].pop((type(item), item.item_id), None)
            return
        self._by_owner[item.owner][type(item), item.item_id] = item
        place = ending_place(item)
        if place is not None and place not in self._queued:
            self._queued.add(place)
            heapq.heappush(self._endings, place)

    def of(self, owner: bytes) -> Iterable[OpenItem]:
        """See `Items`."""
        return list(self._by_owner.get(owner, {}).values())

    def due(self, now_us: int, at_most: int) -> Sequence[Ending]:
        """See `Items`."""
        found: list[Ending] = []
        while self._endings and self._endings[0].at_us <= now_us and len(found) < at_most:
            place = heapq.heappop(self._endings)
            self._queued.discard(place)
            item = ending_at(self, place)
            if item is not None:
                found.append(item)
        return found


_KINDS = {kind: number for number, kind in enumerate(OPEN_ITEMS)}


class EndingPlace(NamedTuple):
    """Where an item stands among those that time ends: by the time and then by its id, so that every replay meets them
    in the same order.
    """

    at_us: int
    item_id: bytes
    owner: bytes
    kind: int
    """Its place in OPEN_ITEMS."""


def ending_place(item: OpenItem) -> EndingPlace | None:
    """None for an item that time does not end."""
    at_us = end_of(item)
    return None if at_us is None else EndingPlace(at_us, item.item_id, item.owner, _KINDS[type(item)])


def ending_at(items: Items, place: EndingPlace) -> Ending | None:
    """The item at this place; None where it has ended since, or its time is another by now."""
    item = items.find(OPEN_ITEMS[place.kind], place.owner, place.item_id)
    return cast(Ending, item) if item is not None and end_of(item) == place.at_us else None
