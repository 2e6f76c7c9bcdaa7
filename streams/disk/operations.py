"""The operations that one shard remembers: on disk, and in memory those that are not written there yet.

Reads and writes one family per generation of 72 hours. The window of 72 hours touches two of them, so a look-up asks
two; one that has left the window is dropped whole, without a delete for each key. Forgetting itself is exact to the
hour: the hour stands beside each fingerprint and is judged when it is looked up, so that a replay forgets at the same
entries.
"""

from collections.abc import Iterable
from struct import Struct

from payments.book import IDEMPOTENCY_WINDOW_HOURS
from streams.disk.database import Database, Family

GENERATION_HOURS = IDEMPOTENCY_WINDOW_HOURS
"""A look-up of an unknown key costs about 1 µs a family: two are asked. The price is disk: keys of 72 to 144 hours."""

_VALUE = Struct(">8sI")
"""Fingerprint, hour."""

_PREFIX = "operations-"


class OperationsOnDisk:
    """`payments.book.Operations`."""

    def __init__(self, database: Database, newest_hour: int = -1) -> None:
        self.newest_hour = newest_hour
        self._database = database
        self._unwritten: dict[bytes, bytes] = {}
        self._families: list[Family] = []
        """Of the window, the newest first."""
        self._entered = True
        self._enter(newest_hour)

    def fingerprint_of(self, operation_id: bytes) -> bytes | None:
        """See `Operations`. Raises StateDamaged."""
        value = self._value_of(operation_id)
        if value is None:
            return None
        fingerprint: bytes
        fingerprint, hour = _VALUE.unpack(value)
        return fingerprint if hour >= self.newest_hour - IDEMPOTENCY_WINDOW_HOURS else None

    def hour_of(self, operation_id: bytes) -> int | None:
        """The hour that a remembered operation counts for; None where it is forgotten. Raises StateDamaged."""
        value = self._value_of(operation_id)
        return None if value is None else int(_VALUE.unpack(value)[1])

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
        value = _VALUE.pack(fingerprint, self.newest_hour)
        self._unwritten[operation_id] = value
        self._database.batch.put(operation_id, value, self._families[0].handle)
        return self.newest_hour

    def load(self, hour: int, operations: Iterable[tuple[bytes, bytes]]) -> None:
        """Take over operations of one hour from a snapshot; in any order of the hours."""
        if hour > self.newest_hour:
            self._enter(hour)
        if hour < self.newest_hour - IDEMPOTENCY_WINDOW_HOURS:
            return
        put, family = self._database.batch.put, self._database.family(_name(hour)).handle
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
            if name.startswith(_PREFIX) and name not in live:
                self._database.drop(name)

    def _enter(self, hour: int) -> None:
        self.newest_hour = hour
        names = [_name(at) for at in (hour, hour - GENERATION_HOURS) if at >= 0]
        if names != [family.name for family in self._families]:
            self._families = [self._database.family(name) for name in names]
            self._entered = True


def _name(hour: int) -> str:
    return f"{_PREFIX}{hour // GENERATION_HOURS}"
