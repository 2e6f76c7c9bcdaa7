"""What an agent keeps: one `Shard` per owned partition, rebuilt from the shard's own ledger.

Reads ledger.entries on restore. Every change goes through an entry that is written in the same transaction.
"""

from collections.abc import Collection, Mapping

from payments.book import Book, evolve
from payments.errors import InvariantViolation
from runtime.exactly_once.contract import Produce, ShardLog
from schemas import topics
from schemas.codec.ledger import (
    GENESIS_HASH,
    Counter,
    Lane,
    LedgerHeader,
    PackedLedgerRecord,
    SourceTopic,
    decode_ledger_record,
    record_hash,
)

SOURCES: dict[str, SourceTopic] = {
    topics.COMMANDS.name: SourceTopic.COMMANDS,
    topics.CREDITS.name: SourceTopic.CREDITS,
    topics.RETURNS.name: SourceTopic.RETURNS,
}
_TOPICS = {source: name for name, source in SOURCES.items()}


class Shard:
    """State of one partition: the book, the head of its ledger, its lanes to other shards, and what it has decided."""

    def __init__(self, number: int, shards: int) -> None:
        self.number = number
        self.shards = shards
        self.book = Book()
        self.sequence = 0
        self.previous_hash = GENESIS_HASH
        self.lanes: dict[Lane, dict[int, int]] = {lane: {} for lane in Lane}
        self.next_offsets: dict[SourceTopic, int] = {}

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

    def append(self, header: LedgerHeader, value: bytes) -> None:
        """Advance the head past a ledger record."""
        self.sequence = header.sequence + 1
        self.previous_hash = record_hash(value)
        self.next_offsets[header.source] = header.next_offset
        for lane, shard, following in header.counters:
            self.lanes[lane][shard] = following

    def replay(self, record: PackedLedgerRecord, value: bytes) -> None:
        """Apply a ledger record on restore. Raises InvariantViolation where the chain is broken."""
        header = record.header
        if (header.shard, header.sequence) != (self.number, self.sequence):
            found = f"{header.shard}/{header.sequence}"
            raise InvariantViolation(f"ledger of shard {self.number}: expected record {self.sequence}, found {found}")
        if header.previous_hash != self.previous_hash:
            raise InvariantViolation(f"ledger of shard {self.number}: hash chain broken at record {header.sequence}")
        for entry in record.entries():
            evolve(self.book, entry)
        self.append(header, value)


class Tables:
    """The shards that this worker owns; what the exactly-once engine restores, forgets and commits."""

    input_topics = tuple(SOURCES)
    changelog_topics = (topics.LEDGER.name,)

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._owned: dict[int, Shard] = {}

    def __getitem__(self, shard: int) -> Shard:
        return self._owned[shard]

    def restore(self, shard: int, log: ShardLog) -> Mapping[str, int]:
        """Fold the shard's ledger. Raises InvariantViolation on a broken chain, UndecodableRecord on torn bytes."""
        restored = Shard(shard, self._shards)
        for message in log.read(topics.LEDGER.name):
            value = message.value()
            restored.replay(decode_ledger_record(value), value)
        self._owned[shard] = restored
        return {_TOPICS[source]: offset for source, offset in restored.next_offsets.items()}

    def forget(self, shard: int) -> None:
        self._owned.pop(shard, None)

    def before_commit(self, shards: Collection[int], produce: Produce) -> None:
        """Nothing yet: the ledger is the changelog."""

    def after_commit(self, shards: Collection[int]) -> None:
        """Nothing to do: what was decided is already in memory."""
