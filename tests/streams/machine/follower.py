"""Reads what the agents of a world wrote, record by record, and hands every input with its entries to the model.

Keeps its own places in the ledgers. Asserts on the way that no ledger record, no input and no entry is missing, comes
twice or stands in another order, and that the hash chain holds; what the entries mean is the business of tests/model.
"""

import hashlib
from collections import Counter, defaultdict
from functools import partial

from payments.commands import NO_REPLY, Command
from payments.entries import Credit, Entry, EntryKind
from schemas import topics
from schemas.codec.commands import decode_body, items
from schemas.codec.credits import decode_credits
from schemas.codec.ledger import Lane, decode_ledger_record
from schemas.codec.replies import Reply, decode_replies
from schemas.partitioning import shard_of
from streams.shard import SOURCES
from tests.model.watcher import Watcher
from tests.streams.stored import accounts_of
from tests.streams.world import Record, World

INPUTS = {source: topic for topic, source in SOURCES.items()}

Place = tuple[int, int, int]
"""Shard, offset and item of a command."""


class Follower:
    """Follows the ledgers of one world. `poison` names the command places that nobody can decide."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.watcher = Watcher(partial(shard_of, shards=world.shards))
        self.poison: set[Place] = set()
        self.waiting: dict[bytes, bytes] = {}
        """Reply address → operation id of each command that somebody waits for."""
        self.last: dict[bytes, EntryKind] = {}
        """Operation → kind of its newest entry that is no answer to a repeat."""
        self._repeats: dict[bytes, EntryKind] = {}
        self._records: Counter[int] = Counter()
        self._hashes: defaultdict[int, bytes] = defaultdict(lambda: bytes(32))
        self._inputs: Counter[tuple[str, int]] = Counter()
        self.lanes: dict[tuple[Lane, int, int], int] = {}
        """(lane, deciding shard, peer) → next number, as the ledger headers say."""

    def follow(self, shard: int) -> None:
        """Read what is new in one ledger."""
        for message in self.world.logs[topics.LEDGER.name, shard][self._records[shard] :]:
            record = decode_ledger_record(message.value())
            header = record.header
            source = INPUTS[header.source]
            assert (header.shard, header.sequence) == (shard, self._records[shard])
            assert header.previous_hash == self._hashes[shard], "the chain is broken"
            assert header.first_offset == self._inputs[source, shard] < header.next_offset, (
                "inputs left out or repeated"
            )
            self._records[shard] += 1
            self._hashes[shard] = hashlib.sha256(message.value()).digest()
            self._inputs[source, shard] = header.next_offset
            for lane, peer, following in header.counters:
                assert following > self.lanes.get((lane, shard, peer), 0), "a lane that goes back"
                self.lanes[lane, shard, peer] = following
            entries = list(record.entries())
            self._follow_inputs(source, shard, range(header.first_offset, header.next_offset), entries)

    def _follow_inputs(self, source: str, shard: int, offsets: range, entries: list[Entry]) -> None:
        places = [(entry.source_offset, entry.source_item) for entry in entries]
        assert places == sorted(places), "entries out of the order of their inputs"
        found: defaultdict[tuple[int, int], list[Entry]] = defaultdict(list)
        for place, entry in zip(places, entries, strict=True):
            found[place].append(entry)
        for offset in offsets:
            record = self.world.logs[source, shard][offset]
            if source == topics.COMMANDS.name:
                self._commands(shard, offset, record, found)
                continue
            for item, credit in enumerate(decode_credits(record.value()).credits):
                self._settled(shard, credit, record, found.pop((offset, item)))
        assert not found, "an entry without an input"

    def _commands(self, shard: int, offset: int, record: Record, found: dict[tuple[int, int], list[Entry]]) -> None:
        bodies = [record.value()] if (shard, offset, -1) in self.poison else list(items(record.value()))
        for item, body in enumerate(bodies):
            entries = found.pop((offset, item))
            if {(shard, offset, item), (shard, offset, -1)} & self.poison:
                assert [entry.kind for entry in entries] == [EntryKind.QUARANTINED]
                continue
            self._decided(decode_body(body), record, entries)

    def _decided(self, command: Command, record: Record, entries: list[Entry]) -> None:
        self.watcher.asked(command, _time_us(record), entries)
        if command.reply_to != NO_REPLY:
            assert command.reply_to not in self.waiting, "one address, two commands"
            self.waiting[command.reply_to] = entries[0].operation_id
        if entries[0].kind in (EntryKind.REPLAYED, EntryKind.KEY_REUSED):
            self._repeats[command.reply_to] = entries[0].kind
            return
        self._remember_the_last(entries)

    def _settled(self, shard: int, credit: Credit, record: Record, entries: list[Entry]) -> None:
        self.watcher.arrived(shard, credit, _time_us(record), entries)
        self._remember_the_last(entries)

    def _remember_the_last(self, entries: list[Entry]) -> None:
        for entry in entries:
            self.last[entry.operation_id] = entry.kind

    def check_replies(self) -> None:
        """At rest: each waiting command has one reply, on its process's partition, with the outcome of its payment."""
        replies: dict[bytes, Reply] = {}
        for partition in range(topics.REPLY_PARTITIONS):
            for message in self.world.logs[topics.REPLIES.name, partition]:
                for reply in decode_replies(message.value()):
                    assert reply.reply_to not in replies, "two replies to one call"
                    assert int.from_bytes(reply.reply_to[:2], "big") % topics.REPLY_PARTITIONS == partition
                    replies[reply.reply_to] = reply
        assert replies.keys() == self.waiting.keys()
        for address, reply in replies.items():
            assert reply.operation_id == self.waiting[address]
            assert reply.kind is self._repeats.get(address, self.last[reply.operation_id])

    def check_lanes(self) -> None:
        """At rest: lane records are numbered from 0 without gap, and both ends of each lane count the same."""
        sent: Counter[tuple[str, int, int]] = Counter()
        for name in (topics.CREDITS.name, topics.RETURNS.name):
            for shard in range(self.world.shards):
                for message in self.world.logs[name, shard]:
                    batch = decode_credits(message.value())
                    assert batch.origin != shard, "a shard needs no lane to itself"
                    assert batch.credits, "a lane record without credits"
                    assert batch.sequence == sent[name, batch.origin, shard]
                    sent[name, batch.origin, shard] += 1
        expected = {}
        for (name, origin, shard), count in sent.items():
            out, into = _ENDS[name]
            expected[out, origin, shard] = expected[into, shard, origin] = count
        assert self.lanes == expected

    def check_balances(self) -> None:
        """At rest: all was heard, and the shards hold the model's accounts, each at the partition of its key."""
        state = self.watcher.ledger.state
        state.check()
        assert not state.under_way
        held = {}
        for shard in range(self.world.shards):
            for account_id, account in accounts_of(self.world.tables[shard]).items():
                assert shard_of(account_id, self.world.shards) == shard
                held[account_id] = (
                    account.currency,
                    account.available_minor,
                    account.overdraft_limit_minor,
                    account.status,
                )
        expected = {id_: (a.currency, a.available, a.limit, a.standing) for id_, a in state.accounts.items()}
        assert held == expected


def _time_us(record: Record) -> int:
    return record.timestamp()[1] * 1_000


_ENDS = {
    topics.CREDITS.name: (Lane.CREDITS_SENT, Lane.CREDITS_RECEIVED),
    topics.RETURNS.name: (Lane.RETURNS_SENT, Lane.RETURNS_RECEIVED),
}
