"""What one shard remembers of one kind: on disk, and in memory what is not written there or in no segment yet.

Reads and writes one family per generation of hours. A window touches few of them, so a look-up asks few; one that has
left the window is dropped whole, without a delete for each key. Forgetting itself is exact to the hour: the hour stands
beside each fingerprint and is judged when it is looked up, so that a replay forgets at the same entries.
"""

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from payments.book import IDEMPOTENCY_WINDOW_HOURS, RECEIPT_WINDOW_HOURS
from streams.disk.checkpoint import Remembered
from streams.disk.database import Database, Family
from streams.disk.segments import Segments


class Window(NamedTuple):
    """For how long one kind is remembered."""

    name: str
    """Of its families on the disk, and of its segments in the snapshot topic."""

    hours: int
    generation_hours: int


OPERATIONS = Window("operations", IDEMPOTENCY_WINDOW_HOURS, IDEMPOTENCY_WINDOW_HOURS)
"""Asked for with every command: a look-up of an unknown key costs about 1 µs a family, and two are asked. The price is
disk: keys of 72 to 144 hours."""

RECEIPTS = Window("receipts", RECEIPT_WINDOW_HOURS, RECEIPT_WINDOW_HOURS // 3)
"""Asked for only with a refund, a dispute or a returned deposit, so four families may be asked: receipts of 180 to 240
days lie there, not of 180 to 360."""

_VALUE = Struct(">8sI")
"""Fingerprint, hour."""


class OperationsOnDisk:
    """`payments.book.Operations`, and what the snapshots have to know of them."""

    def __init__(self, database: Database, window: Window, reached: Remembered) -> None:
        self.window = window
        self.segments = Segments(database, window.name)
        self.newest_hour = reached.newest_hour
        self.count = reached.count
        """How many were ever remembered, forgotten ones included. The same number in every replay."""
        self.unsaved: list[tuple[int, bytes, bytes]] = []
        """Hour, id and fingerprint of the newest, which are in no segment of the snapshot topic yet, in order. Bounded
        by what is decided between two of them: SEGMENT_OPERATIONS and one cycle, 160 bytes each."""
        self._database = database
        self._unwritten: dict[bytes, bytes] = {}
        self._families: list[Family] = []
        """Of the window, the newest first."""
        self._entered = True
        self._enter(self.newest_hour)

    @property
    def reached(self) -> Remembered:
        """What a checkpoint says of it."""
        return Remembered(self.newest_hour, self.count)

    @property
    def oldest_hour(self) -> int:
        """Nothing from before this hour is remembered."""
        return self.newest_hour - self.window.hours

    def fingerprint_of(self, operation_id: bytes) -> bytes | None:
        """See `Operations`. Raises StateDamaged."""
        value = self._value_of(operation_id)
        if value is None:
            return None
        fingerprint: bytes
        fingerprint, hour = _VALUE.unpack(value)
        return fingerprint if hour >= self.oldest_hour else None

    def _value_of(self, operation_id: bytes) -> bytes | None:
        value = self._unwritten.get(operation_id)
        if value is None:
            try:
                for family in self._families:
                    value = family.rows.get(operation_id)
                    if value is not None:
                        break
            except Exception as failure:
                raise self._database.refused(failure) from failure
        return value

    def remember(self, operation_id: bytes, fingerprint: bytes, hour: int) -> int:
        """See `Operations`. Nothing of it reaches the disk before `Database.write`."""
        if hour > self.newest_hour:
            self._enter(hour)
        hour = self.newest_hour
        value = _VALUE.pack(fingerprint, hour)
        self._unwritten[operation_id] = value
        self._database.batch.put(operation_id, value, self._families[0].handle)
        self.count += 1
        self.unsaved.append((hour, operation_id, fingerprint))
        return hour

    def keep_unsaved(self, operation_id: bytes) -> None:
        """One that the disk has and no segment, with the hour that it was remembered with. Raises StateDamaged."""
        value = self._value_of(operation_id)
        if value is not None:
            fingerprint, hour = _VALUE.unpack(value)
            self.unsaved.append((hour, operation_id, fingerprint))

    def load(self, first: int, hour: int, operations: Sequence[tuple[bytes, bytes]]) -> None:
        """Take over a segment of one hour from the snapshot topic; in any order of the hours."""
        self.segments.add(first, hour)
        if hour > self.newest_hour:
            self._enter(hour)
        self.count = max(self.count, first + len(operations))
        if hour < self.oldest_hour:
            return
        put, family = self._database.batch.put, self._database.family(self._name(hour)).handle
        suffix = hour.to_bytes(4, "big")
        for operation_id, fingerprint in operations:
            put(operation_id, fingerprint + suffix, family)

    def written(self) -> None:
        """The batch is on disk: nothing has to be held in memory, and what nobody may ask for any more can go."""
        self._unwritten.clear()
        if not self._entered:
            return
        self._entered = False
        live = {family.name for family in self._families}
        for name in self._database.names():
            if name.startswith(f"{self.window.name}-") and name not in live:
                self._database.drop(name)

    def _enter(self, hour: int) -> None:
        self.newest_hour = hour
        oldest = max(self.oldest_hour, 0)
        step = self.window.generation_hours
        names = [self._name(at) for at in range(hour, oldest - oldest % step - 1, -step)]
        if names != [family.name for family in self._families]:
            self._families = [self._database.family(name) for name in names]
            self._entered = True

    def _name(self, hour: int) -> str:
        return f"{self.window.name}-{hour // self.window.generation_hours}"
