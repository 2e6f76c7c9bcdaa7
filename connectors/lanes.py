"""Which request may be sent next: the requests of one payment order one after another, all others side by side.

Keeps what waits and what is under way. Guarantees: an account whose calls are slow takes at most PER_KEY_MAX of the
slots, and the others are served in turn.
"""

from collections import Counter
from typing import Final, NamedTuple

from schemas.codec.connectors import ConnectorRequest

PER_KEY_MAX: Final = 4
"""Of the slots of a process (32 by default): eight slow accounts before the others wait."""

Lane = tuple[bytes, str]


class Work(NamedTuple):
    """One record of connectors.requests."""

    shard: int
    offset: int
    key: bytes
    request: ConnectorRequest
    recorded_at_us: int
    """Broker time."""

    @property
    def lane(self) -> Lane:
        return self.key, self.request.payment_order_id

    @property
    def dated_request(self) -> ConnectorRequest:
        """With the time of its first attempt: that of the record, or later where it had to wait."""
        request = self.request
        first_us = request.first_asked_at_us or max(self.recorded_at_us, request.not_before_us)
        return request._replace(first_asked_at_us=first_us)


class Lanes:
    """Requests in the order in which they may start."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: dict[bytes, list[Work]] = {}
        self._busy: set[Lane] = set()
        self._running: Counter[bytes] = Counter()

    def add(self, work: Work) -> None:
        self._waiting.setdefault(work.key, []).append(work)

    def start_next(self) -> Work | None:
        """The next that may be sent now; it takes a slot until `end`."""
        if not self._free:
            return None
        for key, waiting in self._waiting.items():
            place = self._startable(key, waiting)
            if place is not None:
                return self._start(key, waiting, place)
        return None

    def end(self, work: Work) -> None:
        """Its slot is free, and the next of its payment order may start."""
        self._free += 1
        self._busy.discard(work.lane)
        self._running[work.key] -= 1
        if not self._running[work.key]:
            del self._running[work.key]

    def forget(self, shard: int) -> None:
        """This shard has gone to another process: what waits of it is sent there."""
        kept = {key: [work for work in waiting if work.shard != shard] for key, waiting in self._waiting.items()}
        self._waiting = {key: waiting for key, waiting in kept.items() if waiting}

    def _startable(self, key: bytes, waiting: list[Work]) -> int | None:
        if self._running[key] >= PER_KEY_MAX:
            return None
        return next((place for place, work in enumerate(waiting) if work.lane not in self._busy), None)

    def _start(self, key: bytes, waiting: list[Work], place: int) -> Work:
        work = waiting.pop(place)
        del self._waiting[key]
        if waiting:
            self._waiting[key] = waiting  # behind the other keys: they are served in turn
        self._free -= 1
        self._busy.add(work.lane)
        self._running[key] += 1
        return work
