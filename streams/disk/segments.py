"""Which segments of one kind lie in the snapshot topic, so that they are deleted when their window is over.

Reads the family `segments-<kind>`; writes into the database's batch. Key: the number of the segment's first item, as
eight bytes; value: the hour that it speaks of.
"""

from collections.abc import Iterator

from streams.disk.database import Database

_NUMBER_BYTES = 8
_HOUR_BYTES = 4


class Segments:
    """The segments written and not yet deleted, oldest first."""

    def __init__(self, database: Database, kind: str) -> None:
        self._database = database
        self._family = database.family(f"segments-{kind}")

    def add(self, first: int, hour: int) -> None:
        """A segment that begins with this item. Written with the batch."""
        key, value = first.to_bytes(_NUMBER_BYTES, "big"), hour.to_bytes(_HOUR_BYTES, "big")
        self._database.batch.put(key, value, self._family.handle)

    def forgotten(self, before_hour: int, at_most: int) -> Iterator[int]:
        """The oldest ones, as far as they hold nothing from this hour on; they are taken off the list."""
        for key, hour in self._database.scan(self._family):
            if int.from_bytes(hour, "big") >= before_hour or at_most == 0:
                return
            at_most -= 1
            self._database.batch.delete(key, self._family.handle)
            yield int.from_bytes(key, "big")
