"""In which order ledger records of several shards may be told: none before what it follows from.

Keeps records that wait, and how far each lane between two shards is told. A record that received a message waits for
the one that sent it, so that of a payment between two shards `authorised` is told before `posted`. The lanes' numbers
are in the records themselves; nothing else is needed to order them. Nobody waits for ever: what a record waits for was
committed before it.
"""

import base64
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from payments.errors import InvariantViolation
from schemas import wire
from schemas.codec.ledger import Lane, PackedLedgerRecord

MAX_SHARDS: Final = 256
"""Brokers keep 4,096 bytes beside an offset: 256 shards × 2 lanes × 6 bytes (10¹² messages each) × 4/3 of base64."""

_SENT_ON: Final = {Lane.CREDITS_RECEIVED: Lane.CREDITS_SENT, Lane.RETURNS_RECEIVED: Lane.RETURNS_SENT}


class Waiting(NamedTuple):
    """A ledger record that was read and not told yet."""

    offset: int
    record: PackedLedgerRecord
    size_bytes: int


class Sent(NamedTuple):
    """One end of a lane."""

    lane: Lane
    sender: int
    receiver: int


class CausalOrder:
    """One object for all shards. `add` as read; `released` when something was added."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._queues: defaultdict[int, deque[Waiting]] = defaultdict(deque)
        self._told: defaultdict[Sent, int] = defaultdict(int)
        """How far each lane is told: the number of the message that comes next."""
        self._next_sequence: dict[int, int] = {}
        self.waiting_bytes: defaultdict[int, int] = defaultdict(int)
        """By shard."""

    def resume(self, shard: int, mark: str) -> None:
        """Go on where an earlier process left this `mark_of` the shard. Raises ValueError where it is none."""
        buffer, at = base64.b64decode(mark, validate=True), 0
        for sent in self._sent_by(shard):
            self._told[sent], at = wire.read_long(buffer, at)
        if at != len(buffer):
            raise ValueError(f"{len(buffer) - at} bytes behind the marks of {self._shards} shards")

    def mark_of(self, shard: int) -> str:
        """What an heir has to know beside the offset: how far the lanes of this shard are told."""
        return base64.b64encode(b"".join(wire.write_long(self._told[sent]) for sent in self._sent_by(shard))).decode()

    def add(self, waiting: Waiting) -> None:
        """The next record of its shard. Raises InvariantViolation where one is missing before it."""
        header = waiting.record.header
        expected = self._next_sequence.get(header.shard, header.sequence)
        if header.sequence != expected:
            raise InvariantViolation(
                f"shard {header.shard}, offset {waiting.offset}: ledger record {header.sequence} where {expected} is"
                " the next"
            )
        self._next_sequence[header.shard] = expected + 1
        self._queues[header.shard].append(waiting)
        self.waiting_bytes[header.shard] += waiting.size_bytes

    def released(self) -> Iterator[Waiting]:
        """Every record whose turn has come."""
        moved = True
        while moved:
            moved = False
            for shard in [*self._queues]:
                while self._queues[shard] and self._has_turn(self._queues[shard][0]):
                    moved = True
                    yield self._take(shard)

    def _has_turn(self, waiting: Waiting) -> bool:
        header = waiting.record.header
        return all(
            self._told[Sent(_SENT_ON[lane], sender, header.shard)] >= number
            for lane, sender, number in header.counters
            if lane in _SENT_ON
        )

    def _take(self, shard: int) -> Waiting:
        waiting = self._queues[shard].popleft()
        self.waiting_bytes[shard] -= waiting.size_bytes
        for lane, receiver, number in waiting.record.header.counters:
            if lane not in _SENT_ON:
                self._told[Sent(lane, shard, receiver)] = number
        return waiting

    def _sent_by(self, shard: int) -> list[Sent]:
        return [Sent(lane, shard, receiver) for lane in _SENT_ON.values() for receiver in range(self._shards)]
