"""The state of one partition: its book, the head of its ledger, its lanes to other shards, and what it has decided.

Every change of the book goes through an entry (`evolve`), every entry through a ledger record (`append`).
"""

from payments.book import Book, evolve
from payments.entries import Entry
from payments.errors import InvariantViolation
from schemas import topics
from schemas.codec.ledger import GENESIS_HASH, Counter, Lane, LedgerHeader, SourceTopic, record_hash

SOURCES: dict[str, SourceTopic] = {
    topics.COMMANDS.name: SourceTopic.COMMANDS,
    topics.CREDITS.name: SourceTopic.CREDITS,
    topics.RETURNS.name: SourceTopic.RETURNS,
    topics.CONNECTOR_RESULTS.name: SourceTopic.CONNECTOR_RESULTS,
}
"""What a shard decides. Who else enumerates its inputs takes them from here, or from SourceTopic."""


class Shard:
    """One partition. Changes only by `evolve`, `receive`, `next_on` and `append`."""

    def __init__(self, number: int, shards: int, book: Book | None = None) -> None:
        self.number = number
        self.shards = shards
        self.book = Book() if book is None else book
        self.entries = 0
        """Entries since the last page was written, when the shard was restored, and all since: paces the snapshots."""
        self.time_us = 0
        """Broker time of the newest entry."""
        self.sequence = 0
        self.previous_hash = GENESIS_HASH
        self.lanes: dict[Lane, dict[int, int]] = {lane: {} for lane in Lane}
        self.next_offsets: dict[SourceTopic, int] = {}

    def evolve(self, entry: Entry) -> None:
        """Apply one decision that was just made."""
        evolve(self.book, entry)
        self.entries += 1
        self.time_us = max(self.time_us, entry.decided_at_us)

    def receive(self, lane: Lane, origin: int, sequence: int) -> Counter:
        """Take the next record of a lane. Raises InvariantViolation where one is missing or came twice."""
        expected = self.lanes[lane].get(origin, 0)
        if sequence != expected:
            raise InvariantViolation(
                f"shard {self.number}: {lane.name} from shard {origin} is at {expected}, got record {sequence}"
            )
        self.lanes[lane][origin] = sequence + 1
        return Counter(lane, origin, sequence + 1)

    def next_on(self, lane: Lane, destination: int) -> int:
        """The number of the next record to send on a lane, which is then used."""
        sequence = self.lanes[lane].get(destination, 0)
        self.lanes[lane][destination] = sequence + 1
        return sequence

    def next_of(self, lane: Lane, destination: int) -> int:
        """The number of the next record to send on a lane."""
        return self.lanes[lane].get(destination, 0)

    def decided(self) -> dict[str, int]:
        """The next undecided offset per input topic; topics of which nothing was decided are left out."""
        offsets = self.next_offsets
        return {topic: offsets[source] for topic, source in SOURCES.items() if source in offsets}

    def append(self, header: LedgerHeader, value: bytes) -> None:
        """Advance the head past a ledger record."""
        self.sequence = header.sequence + 1
        self.previous_hash = record_hash(value)
        self.next_offsets[header.source] = header.next_offset
        for lane, shard, following in header.counters:
            self.lanes[lane][shard] = following
