"""Follows one shard's ledger from its first record, deciding every input again on the way.

Reads ledger.entries and the inputs of the deciding stage of one partition. Keeps the shard's book.
Guarantees for every record: hash link, sequence number, the run of inputs it names (none skipped, none twice), its
lanes, and every byte of its entries and descriptions. Where retention has deleted the inputs of a record, the book
follows its entries instead, and the record is counted as not decided again.
"""

import hashlib
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from confluent_kafka import Message

from millrace.audit.ledger.decisions import Decisions, SetAside
from millrace.audit.ledger.lanes import LaneKey, LaneLog
from millrace.audit.ledger.partition_log import PartitionLog
from millrace.audit.report import Differs, Invariant
from payments.book import Book, evolve
from payments.entries import Entry
from payments.errors import MillraceError, UndecodableRecord
from payments.items.details import Detail
from payments.movements.deciding import requests_of
from schemas.codec.connectors import encode_request
from schemas.codec.credits import CreditBatch, decode_credits
from schemas.codec.ledger import (
    GENESIS_HASH,
    Counter,
    Lane,
    LedgerHeader,
    PackedLedgerRecord,
    SourceTopic,
    decode_ledger_record,
    encode_ledger_record,
    record_hash,
)
from streams.outbox import parted

RECEIVED = {SourceTopic.CREDITS: Lane.CREDITS_RECEIVED, SourceTopic.RETURNS: Lane.RETURNS_RECEIVED}


class Inputs:
    """One input partition, handed out in runs of offsets."""

    def __init__(self, log: PartitionLog) -> None:
        self.log = log
        self._messages = iter(log)
        self._waiting: Message | None = next(self._messages, None)

    def take(self, first_offset: int, next_offset: int) -> Iterator[Message]:
        """The messages of this run. Raises Differs where one in front of it was decided by nobody."""
        while self._waiting is not None and self._waiting.offset() < next_offset:
            message = self._waiting
            if message.offset() < first_offset:
                place = f"{self.log.topic}[{self.log.partition}] offset {message.offset()}"
                raise Differs(Invariant.ONE_OUTCOME, place, "one decision in the ledger", "none")
            self._waiting = next(self._messages, None)
            yield message

    def skip(self, next_offset: int) -> None:
        """Leave the rest of a run whose beginning is no longer kept."""
        while self._waiting is not None and self._waiting.offset() < next_offset:
            self._waiting = next(self._messages, None)

    def rest(self) -> Iterator[Message]:
        """What no ledger record has decided yet."""
        while self._waiting is not None:
            yield self._waiting
            self._waiting = next(self._messages, None)


class Replayed(NamedTuple):
    """What is left of a shard once it is replayed (its book is not: a million operations take 300 MB)."""

    shard: int
    records: int
    decided_again: int
    undecided: int
    commands_decided: int
    """Next undecided offset of the commands."""

    set_aside: list[SetAside]
    requests: list[bytes]
    """Digests of what providers must have been asked, in this order."""


class ShardReplay:
    """The state of one shard, rebuilt by deciding its inputs again."""

    def __init__(self, ledger: PartitionLog, inputs: dict[SourceTopic, Inputs], shards: int, lanes: LaneLog) -> None:
        self.shard = ledger.partition
        self.set_aside: list[SetAside] = []
        self.requests: list[bytes] = []
        self.records = 0
        self.decided_again = 0
        self.undecided = 0
        self.next_offsets = dict.fromkeys(SourceTopic, 0)
        self._ledger = ledger
        self._inputs = inputs
        self._shards = shards
        self._lane_log = lanes
        self._lanes: dict[tuple[Lane, int], int] = {}
        self._book = Book()
        self._previous_hash = GENESIS_HASH
        self._previous_offset = -1

    def records_checked(self) -> Iterator[tuple[int, PackedLedgerRecord]]:
        """Offset and content of each ledger record once it is found right. Raises Differs."""
        for message in self._ledger:
            place = f"{self._ledger.topic}[{self.shard}] offset {message.offset()}"
            value = message.value() or b""
            record = decoded(value, place)
            self._check_header(record.header, place)
            if record.header.first_offset < self._inputs[record.header.source].log.extent.start:
                self._follow(record, place)
            else:
                self._decide_again(record, value, place)
            self.records += 1
            self._previous_hash, self._previous_offset = record_hash(value), message.offset()
            self.next_offsets[record.header.source] = record.header.next_offset
            for _, entry in record.detailed():
                self.requests += (digest_of(owner, encode_request(asked)) for owner, asked in requests_of(entry))
            yield message.offset(), record
        self._count_undecided()

    def summary(self) -> Replayed:
        """The result, once `records_checked` is exhausted."""
        commands = self.next_offsets[SourceTopic.COMMANDS]
        return Replayed(
            self.shard, self.records, self.decided_again, self.undecided, commands, self.set_aside, self.requests
        )

    def _check_header(self, header: LedgerHeader, place: str) -> None:
        if header.shard != self.shard:
            raise Differs(Invariant.TRACE, place, f"a record of shard {self.shard}", f"one of shard {header.shard}")
        if header.sequence != self.records:
            raise Differs(Invariant.TRACE, place, f"sequence {self.records}", f"sequence {header.sequence}")
        if header.previous_hash != self._previous_hash:
            before = f"offset {self._previous_offset}" if self.records else "nothing (zeros)"
            found = f"{header.previous_hash.hex()}: the record before this one, or this one, was changed"
            raise Differs(Invariant.TRACE, place, f"{self._previous_hash.hex()}, the hash of {before}", found)
        decided = self.next_offsets[header.source]
        if not decided <= header.first_offset < header.next_offset:
            found = f"{header.first_offset} to {header.next_offset}"
            raise Differs(Invariant.ONE_OUTCOME, place, f"{header.source.name} from {decided} on, in order", found)

    def _decide_again(self, record: PackedLedgerRecord, value: bytes, place: str) -> None:
        header = record.header
        decisions = Decisions(self._book, self.shard, self._shards)
        received: dict[int, Counter] = {}
        try:
            for message in self._inputs[header.source].take(header.first_offset, header.next_offset):
                if header.source is SourceTopic.COMMANDS:
                    decisions.command_record(message)
                elif header.source is SourceTopic.CONNECTOR_RESULTS:
                    decisions.result_record(message)
                else:
                    batch = self._received(RECEIVED[header.source], message, received)
                    decisions.credit_record(message, batch.credits)
        except MillraceError as error:
            raise Differs(Invariant.REPLAY, place, "inputs that can be decided", error) from error
        counters = [*received.values(), *self._sent(decisions)]
        if sorted(counters) != sorted(header.counters):
            raise Differs(Invariant.TRACE, place, _listed(counters), _listed(header.counters))
        if encode_ledger_record(header, decisions.entries, decisions.descriptions) != value:
            raise _first_difference(record, decisions, place)
        self.set_aside += decisions.set_aside
        self.decided_again += 1

    def _follow(self, record: PackedLedgerRecord, place: str) -> None:
        self._inputs[record.header.source].skip(record.header.next_offset)
        for entry in _entries(record, place):
            evolve(self._book, entry)
        for lane, peer, following in record.header.counters:
            self._lanes[lane, peer] = following
            if lane in (Lane.CREDITS_SENT, Lane.RETURNS_SENT):
                self._lane_log.sent_unseen(LaneKey(lane, self.shard, peer), following)

    def _received(self, lane: Lane, message: Message, received: dict[int, Counter]) -> CreditBatch:
        batch = decode_credits(message.value() or b"")
        expected = self._lanes.get((lane, batch.origin), 0)
        if batch.sequence != expected:
            place = f"{message.topic()}[{self.shard}] offset {message.offset()}"
            raise Differs(
                Invariant.TRACE, place, f"record {expected} from shard {batch.origin}", f"record {batch.sequence}"
            )
        self._lane_log.receive(lane, self.shard, batch, message)
        self._lanes[lane, batch.origin] = batch.sequence + 1
        received[batch.origin] = Counter(lane, batch.origin, batch.sequence + 1)
        return batch

    def _sent(self, decisions: Decisions) -> Iterator[Counter]:
        for lane, outgoing in (
            (Lane.CREDITS_SENT, decisions.credits),
            (Lane.RETURNS_SENT, decisions.returns),
        ):
            for destination, messages in outgoing.items():
                following = self._lanes.get((lane, destination), 0)
                for credits in parted(messages):
                    self._lane_log.send(LaneKey(lane, self.shard, destination), following, credits)
                    following += 1
                self._lanes[lane, destination] = following
                yield Counter(lane, destination, following)

    def _count_undecided(self) -> None:
        for source, inputs in self._inputs.items():
            for message in inputs.rest():
                self.undecided += 1
                if source in RECEIVED:
                    batch = decode_credits(message.value() or b"")
                    self._lane_log.receive(RECEIVED[source], self.shard, batch, message)


def digest_of(key: bytes, value: bytes) -> bytes:
    """Sixteen bytes for a record that is kept only to be compared."""
    return hashlib.blake2b(key + value, digest_size=16).digest()


def decoded(value: bytes, place: str) -> PackedLedgerRecord:
    """A ledger record. Raises Differs where the bytes are none."""
    try:
        return decode_ledger_record(value)
    except UndecodableRecord as error:
        raise Differs(Invariant.TRACE, place, "a ledger record", error) from error


def _entries(record: PackedLedgerRecord, place: str) -> list[Entry]:
    try:
        return list(record.entries())
    except UndecodableRecord as error:
        raise Differs(Invariant.TRACE, place, "entries of known kinds and reasons", error) from error


def _first_difference(record: PackedLedgerRecord, decisions: Decisions, place: str) -> Differs:
    """The first entry, else description, that is not as decided again."""
    for index, (found, expected) in enumerate(zip_longest(_entries(record, place), decisions.entries)):
        if found != expected:
            return Differs(Invariant.REPLAY, f"{place} entry {index}", *_shown(expected, found))
    if record.descriptions != decisions.descriptions:
        return Differs(Invariant.REPLAY, place, "the descriptions of the commands", "others")
    return Differs(Invariant.REPLAY, place, "the one encoding of this record", "another")


def _shown(expected: Entry | None, found: Entry | None) -> tuple[str, str]:
    """Both entries, cut to the fields that differ; of details, to the first one that does."""
    if expected is None or found is None:
        return ("no entry" if expected is None else _named(expected)), ("no entry" if found is None else _named(found))
    differing = [name for name in Entry._fields[:-1] if getattr(expected, name) != getattr(found, name)]
    texts = [[_field(name, getattr(entry, name)) for name in differing] for entry in (expected, found)]
    if expected.details != found.details:
        for side, text in zip(texts, _details_shown(expected.details, found.details), strict=True):
            side.append(text)
    return ", ".join(texts[0]), ", ".join(texts[1])


def _details_shown(expected: tuple[Detail, ...], found: tuple[Detail, ...]) -> tuple[str, str]:
    at, (one, other) = next((at, pair) for at, pair in enumerate(zip_longest(expected, found)) if pair[0] != pair[1])
    if one is None or other is None or type(one) is not type(other):
        return f"detail {at} {_kind(one)}", f"detail {at} {_kind(other)}"
    fields = [name for name in one._fields if getattr(one, name) != getattr(other, name)]
    first, second = (", ".join(_field(name, getattr(side, name)) for name in fields) for side in (one, other))
    return f"detail {at} {_kind(one)}: {first}", f"detail {at} {_kind(other)}: {second}"


def _kind(detail: Detail | None) -> str:
    return "missing" if detail is None else type(detail).__name__


def _field(name: str, value: object) -> str:
    return f"{name} {value.hex() if isinstance(value, bytes) else value}"


def _named(entry: Entry) -> str:
    return f"{entry.kind.name} of operation {entry.operation_id.hex()}"


def _listed(counters: list[Counter] | tuple[Counter, ...]) -> str:
    return ", ".join(f"{lane.name} {shard}: {following}" for lane, shard, following in sorted(counters)) or "no lanes"
