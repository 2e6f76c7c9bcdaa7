"""What the decisions about one chunk write: ledger records, credits and returns per shard, requests, replies.

Writes ledger.entries, payments.credits, payments.returns, connectors.requests, payments.replies. A record is cut before
it grows too large; every cut names the exact run of input offsets that it decided.
"""

from collections import defaultdict
from collections.abc import Iterator

from payments.commands import NO_REPLY
from payments.entries import NO_FINGERPRINT, Credit, Entry, EntryKind, Step
from payments.items.details import (
    Assessed,
    AttemptSettlement,
    Cause,
    CauseKind,
    Detail,
    Journal,
    Legs,
    PaymentOrder,
    ProviderRequest,
    Published,
    Review,
    Rules,
)
from payments.movements.journals import MAX_LEGS
from payments.spanning.counts import MAX_ASKERS
from runtime.exactly_once.contract import Chunk
from schemas import topics
from schemas.codec.commands import MAX_ITEMS
from schemas.codec.connectors import ConnectorRequest, encode_request
from schemas.codec.credits import CreditBatch, encode_credits
from schemas.codec.ledger import ENTRY, Counter, Lane, LedgerHeader, encode_ledger_record
from schemas.codec.replies import Reply, encode_replies, reply_partition
from schemas.partitioning import shard_of
from streams.shard import SOURCES, Shard

MAX_ENTRIES = 2_000
"""Cut when this many entries wait: 1,999 plus at most 3,000 of one more packed input, × 97 bytes, is below 500 kB. The
descriptions come on top; `make_room` bounds both together."""

MAX_LEDGER_BYTES = 880_000
"""Entries and descriptions of one ledger record; with header and counters below the 900,000 bytes that a stage may
write at once. The largest input of 1,000 commands fits: × (3 × 97 + 565 bytes of text in four-byte letters) = 856 kB.
"""

_ENTRIES_AN_ITEM = 3
"""Of a transfer inside the shard: RESERVED, REFUSED, RETURNED."""

_SHORTEST_ITEM_BYTES = 54
"""The fixed fields of a command and two empty texts."""

FULL_BYTES = 400_000
"""Entries and details after which a record is cut: with the largest single input behind it (LANE_BYTES, or a journal
of 64 legs inside the shard: 150 kB) it stays below MAX_LEDGER_BYTES."""

LANE_BYTES = 300_000
"""What the messages of one record to another shard may make of that shard's ledger."""

_PLAIN_MESSAGE_BYTES = 300
"""A credit that is refused and taken back: two entries, a cause and an item."""

_LEG_BYTES = 29
_VALUE_BYTES = 13
_ASKER_BYTES = 16
_MORE_BYTES = {
    Step.PREPARED: MAX_LEGS * _LEG_BYTES,
    Step.OBSERVE: 2 * 24 * _VALUE_BYTES + MAX_ASKERS * _ASKER_BYTES,  # published, and learned in the same shard
}
"""What some messages make beyond that."""

_GOES_ON = frozenset(
    {
        EntryKind.RESERVED,
        EntryKind.REFUSED,
        EntryKind.CAPTURED,
        EntryKind.JOURNAL_OPENED,
        EntryKind.PROVIDER_ASKED,
        EntryKind.LEG_RESERVED,
        EntryKind.LEG_REFUSED,
        EntryKind.LEG_SETTLED,
        EntryKind.LEG_RELEASED,
    }
)
"""Entries after which something more follows for the caller."""


class Outbox:
    """Collects what one chunk decides. `cut` writes it and names the inputs up to there as decided."""

    def __init__(self, shard: Shard, chunk: Chunk) -> None:
        self.shard = shard
        self.produce = chunk.produce
        self._source = SOURCES[chunk.topic]
        self._from_offset = chunk.first_offset
        self._clear()

    def _clear(self) -> None:
        self._entries: list[Entry] = []
        self._descriptions: dict[int, str] = {}
        self._description_bytes = 0
        self._detail_bytes = 0
        self._received: dict[int, Counter] = {}
        self._credits: defaultdict[int, list[Credit]] = defaultdict(list)
        self._returns: defaultdict[int, list[Credit]] = defaultdict(list)
        self._replies: defaultdict[int, list[Reply]] = defaultdict(list)

    def add(self, entry: Entry, reply_to: bytes = NO_REPLY, description: str = "") -> None:
        """One decision; a reply for the caller where somebody waits and nothing more will follow."""
        if description:
            self._descriptions[len(self._entries)] = description
            self._description_bytes += 5 + len(description) * (1 if description.isascii() else 4)
        if entry.details:
            self._detail_bytes += sum(map(_bytes_of, entry.details))
        self._entries.append(entry)
        if reply_to != NO_REPLY and is_final_answer(entry):
            reply = Reply(reply_to, entry.operation_id, entry.kind, entry.reason, entry.decided_at_us)
            self._replies[reply_partition(reply_to)].append(reply)

    def send_credit(self, credit: Credit) -> None:
        self._credits[shard_of(credit.payee, self.shard.shards)].append(credit)

    def send_return(self, credit: Credit) -> None:
        self._returns[shard_of(credit.payer, self.shard.shards)].append(credit)

    def ask_provider(self, owner: bytes, request: ConnectorRequest) -> None:
        """Its results come back under the same key, to this shard."""
        self.produce(topics.CONNECTOR_REQUESTS.name, encode_request(request), key=owner, partition=self.shard.number)

    def received(self, counter: Counter) -> None:
        """A record of a lane was taken; the ledger keeps the lane's position."""
        self._received[counter.shard] = counter

    def cut(self, next_offset: int) -> None:
        """Write everything collected; the inputs below `next_offset` are decided by it. No input, no record."""
        if next_offset == self._from_offset:
            return
        counters = (
            *self._received.values(),
            *self._send(topics.CREDITS.name, Lane.CREDITS_SENT, self._credits),
            *self._send(topics.RETURNS.name, Lane.RETURNS_SENT, self._returns),
        )
        shard = self.shard
        header = LedgerHeader(
            shard.number, shard.sequence, shard.previous_hash, self._source, self._from_offset, next_offset, counters
        )
        value = encode_ledger_record(header, self._entries, self._descriptions)
        self.produce(topics.LEDGER.name, value, partition=shard.number)
        for partition, replies in self._replies.items():
            self.produce(topics.REPLIES.name, encode_replies(replies), partition=partition)
        shard.append(header, value)
        self._from_offset = next_offset
        self._clear()

    def make_room(self, offset: int, value_bytes: int) -> None:
        """Cut in front of a command record that may not fit beside what waits."""
        items = min(value_bytes // _SHORTEST_ITEM_BYTES + 1, MAX_ITEMS)
        if (
            self._entries
            and self._waiting_bytes + items * _ENTRIES_AN_ITEM * ENTRY.size + value_bytes > MAX_LEDGER_BYTES
        ):
            self.cut(offset)

    def cut_if_full(self, next_offset: int) -> None:
        if len(self._entries) >= MAX_ENTRIES or self._detail_bytes >= FULL_BYTES:
            self.cut(next_offset)

    @property
    def _waiting_bytes(self) -> int:
        return len(self._entries) * ENTRY.size + self._description_bytes + self._detail_bytes

    def _send(self, topic: str, lane: Lane, outgoing: dict[int, list[Credit]]) -> list[Counter]:
        counters = []
        for destination, messages in outgoing.items():
            for credits in parted(messages):
                sequence = self.shard.next_on(lane, destination)
                value = encode_credits(CreditBatch(self.shard.number, sequence, credits))
                self.produce(topic, value, partition=destination)
            counters.append(Counter(lane, destination, self.shard.next_of(lane, destination)))
        return counters


def is_final_answer(entry: Entry) -> bool:
    """Whether nothing more follows for the caller. What is noted answers where it was asked for."""
    if entry.kind is EntryKind.NOTED:
        return entry.fingerprint != NO_FINGERPRINT
    if entry.kind is EntryKind.CAPTURED:  # an analyst's decision; how the payment goes on is no answer to it
        return any(isinstance(detail, Cause) and detail.kind is CauseKind.REVIEW for detail in entry.details)
    return entry.kind not in _GOES_ON


def parted(messages: list[Credit]) -> Iterator[list[Credit]]:
    """Runs of messages that fit one record, judged by what they make of the receiving shard's ledger."""
    if len(messages) * _PLAIN_MESSAGE_BYTES <= LANE_BYTES and not any(message.step for message in messages):
        yield messages
        return
    part: list[Credit] = []
    part_bytes = 0
    for message in messages:
        message_bytes = _PLAIN_MESSAGE_BYTES + _MORE_BYTES.get(message.step, 0)
        if part and part_bytes + message_bytes > LANE_BYTES:
            yield part
            part, part_bytes = [], 0
        part.append(message)
        part_bytes += message_bytes
    yield part


def _bytes_of(detail: Detail) -> int:
    """At most what a detail takes in a record."""
    if isinstance(detail, (Legs, Journal, Review)):
        return 150 + _LEG_BYTES * len(detail.legs)
    if isinstance(detail, Rules):
        return 150 + len(detail.text.encode())
    if isinstance(detail, (PaymentOrder, ProviderRequest, AttemptSettlement)):
        return 150 + sum(len(field.encode()) for field in detail if isinstance(field, str))
    if isinstance(detail, Published):
        return 150 + _VALUE_BYTES * len(detail.values) + _ASKER_BYTES * len(detail.askers)
    return 150 + len(detail.verdict) if isinstance(detail, Assessed) else 150
