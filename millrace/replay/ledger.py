"""The ledger, added up as far as somebody asks for: to a point of the past, or on and on beside a sink.

Reads ledger.entries (committed records; archived ones where the brokers hold them no longer). Keeps the balances and,
per shard, the link that the next record has to continue. Guarantees that no record was left out, read twice or
exchanged: the sequence has no gap and the hash chain no break. A read that fails in the middle can be tried again from
where it was.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from millrace.audit.ledger.entry_batch import Located, batches
from millrace.audit.ledger.partition_log import Advance, Extent, PartitionLog
from millrace.audit.ledger.replay import decoded
from millrace.audit.report import Differs, Invariant
from millrace.replay.balances import Balances
from runtime.archive.reader import Archive
from runtime.kafka_client import Brokers
from schemas.codec.ledger import GENESIS_HASH, LedgerHeader, record_hash

NextOffsets = Mapping[int, int]
"""By shard: the offset behind the last record that counts."""


class Link(NamedTuple):
    """Where the next record of one shard joins."""

    next_offset: int
    sequence: int
    previous_hash: bytes
    last_record_at_ms: int
    """Broker time of the record before it; 0 where there is none."""


BEGINNING = Link(0, 0, GENESIS_HASH, 0)


class FoldedLedger:
    """Balances as of `next_offsets`; `advance` moves on."""

    def __init__(
        self,
        brokers: Brokers,
        topic: str,
        shards: int,
        advance: Advance = lambda _: None,
        archive: Archive | None = None,
    ) -> None:
        self.balances = Balances()
        self.records = 0
        self.links: dict[int, Link] = dict.fromkeys(range(shards), BEGINNING)
        self._brokers = brokers
        self._topic = topic
        self._advance = advance
        self._archive = archive

    @property
    def next_offsets(self) -> dict[int, int]:
        return {shard: link.next_offset for shard, link in self.links.items()}

    def advance(self, to: NextOffsets, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Add what lies between here and these offsets. Raises Differs, AuditImpossible.

        A Differs leaves balances that are of no further use.
        """
        for shard in sorted(to):
            ahead = _Ahead(self.links[shard])
            for batch in batches(self._checked(shard, to[shard], ahead)):
                place = f"{self._topic}[{shard}] before offset {ahead.link.next_offset}"
                self.balances.add(batch, place)
                self.links[shard] = ahead.link
                self.records += ahead.taken()
                if is_stopped():
                    return
            reached = self.links[shard]
            self.links[shard] = reached._replace(next_offset=max(reached.next_offset, to[shard]))

    def _checked(self, shard: int, until: int, ahead: "_Ahead") -> Iterator[Located]:
        extent = Extent(ahead.link.next_offset, until)
        for message in PartitionLog(self._brokers, self._topic, shard, extent, self._advance, self._archive):
            value, offset = message.value() or b"", message.offset()
            place = f"{self._topic}[{shard}] offset {offset}"
            record = decoded(value, place)
            _require_link(shard, ahead.link, record.header, place)
            ahead.go_on(Link(offset + 1, record.header.sequence + 1, record_hash(value), message.timestamp()[1]))
            yield offset, record


class _Ahead:
    """How far the reading is, ahead of what is added up by at most one batch."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._records = 0

    def go_on(self, link: Link) -> None:
        self.link = link
        self._records += 1

    def taken(self) -> int:
        """Records since it was last asked."""
        records, self._records = self._records, 0
        return records


def _require_link(shard: int, link: Link, header: LedgerHeader, place: str) -> None:
    expected, found = (shard, link.sequence), (header.shard, header.sequence)
    if found != expected:
        shown = [f"sequence {sequence} of shard {of}" for of, sequence in (expected, found)]
        raise Differs(Invariant.TRACE, place, *shown)
    if header.previous_hash != link.previous_hash:
        raise Differs(Invariant.TRACE, place, f"previous hash {link.previous_hash.hex()}", header.previous_hash.hex())
