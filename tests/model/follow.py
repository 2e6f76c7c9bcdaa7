"""Feeds the model from the topics alone: what the ledgers of all shards say, and the inputs that they name.

Reads ledger records in the order of each shard, and every input at its place. The order between shards is only that of
cause and effect: what a shard heard of another is checked when the other's ledger has come to where it was sent.
Guarantees: records gapless and chained, every input decided once and in turn, every entry the one that the model says.
"""

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from payments.commands import Command
from payments.commerce.connector import ConnectorResult
from payments.entries import Credit, Entry, EntryKind
from payments.movements.instructions import Instruction
from schemas import topics
from schemas.codec.commands import decode_body, form_refusal, items
from schemas.codec.connectors import decode_result
from schemas.codec.credits import decode_credits
from schemas.codec.instructions import decode_instruction, instruction_refusal, is_instruction, is_tick
from schemas.codec.ledger import decode_ledger_record
from schemas.partitioning import shard_of
from streams.shard import SOURCES
from tests.model.watcher import Disagreement, Watcher

INPUTS = {source: topic for topic, source in SOURCES.items()}


class Record(NamedTuple):
    """An input: its key, its value, and the broker's time."""

    key: bytes
    value: bytes
    time_us: int


InputAt = Callable[[str, int, int], Record | None]
"""(topic, shard, offset) → the record, or None where there is none (the end of a transaction)."""


Item = Command | Instruction | Credit | ConnectorResult | None
"""None: time passed."""


class Event(NamedTuple):
    """One input item and the entries that it became."""

    item: Item
    key: bytes
    time_us: int
    entries: list[Entry]


class Follower:
    """Follows the ledgers of all shards."""

    def __init__(self, shards: int, input_at: InputAt) -> None:
        self.watcher = Watcher(partial(shard_of, shards=shards))
        self._input_at = input_at
        self._events: list[deque[Event]] = [deque() for _ in range(shards)]
        self._sequences: Counter[int] = Counter()
        self._hashes: defaultdict[int, bytes] = defaultdict(lambda: bytes(32))
        self._next_offsets: Counter[tuple[str, int]] = Counter()

    def read(self, shard: int, value: bytes) -> None:
        """The next record of a shard's ledger."""
        record = decode_ledger_record(value)
        header = record.header
        source, place = INPUTS[header.source], (INPUTS[header.source], shard)
        if (header.shard, header.sequence, header.previous_hash) != (
            shard,
            self._sequences[shard],
            self._hashes[shard],
        ):
            raise Disagreement(f"shard {shard}: record {header.sequence} does not follow {self._sequences[shard] - 1}")
        skipped = range(self._next_offsets[place], header.first_offset)
        if header.first_offset < skipped.start or any(self._input_at(*place, offset) for offset in skipped):
            raise Disagreement(f"{place}: inputs left out or repeated before {header.first_offset}")
        self._sequences[shard] += 1
        self._hashes[shard] = hashlib.sha256(value).digest()
        self._next_offsets[place] = header.next_offset
        entries: defaultdict[tuple[int, int], list[Entry]] = defaultdict(list)
        for entry in record.entries():
            entries[entry.source_offset, entry.source_item].append(entry)
        for offset in range(header.first_offset, header.next_offset):
            self._events[shard] += self._inputs(source, shard, offset, entries)
        if entries:
            raise Disagreement(f"shard {shard}: entries without an input: {dict(entries)}")

    def _inputs(
        self, source: str, shard: int, offset: int, entries: dict[tuple[int, int], list[Entry]]
    ) -> Iterator[Event]:
        record = self._input_at(source, shard, offset)
        if record is None:
            return
        for place, item in enumerate(_items(source, record.value)):
            found = entries.pop((offset, place), [])
            if isinstance(item, Command | Instruction) and _is_malformed(item):
                if [entry.kind for entry in found] != [EntryKind.QUARANTINED]:
                    raise Disagreement(f"decided although it is malformed: {item}")
                continue
            yield Event(item, record.key, record.time_us, found)

    def advance(self) -> None:
        """Check all that has a cause by now."""
        while any(self._advance(shard) for shard in range(len(self._events))):
            continue

    def _advance(self, shard: int) -> bool:
        events, moved = self._events[shard], False
        while events and self._has_a_cause(events[0].item):
            self._check(shard, events.popleft())
            moved = True
        return moved

    def _has_a_cause(self, item: Item) -> bool:
        return not isinstance(item, Credit) or item in self.watcher.ledger.state.under_way

    def _check(self, shard: int, event: Event) -> None:
        match event.item:
            case None:
                self.watcher.ticked(shard, event.time_us, event.entries)
            case Credit():
                self.watcher.arrived(shard, event.item, event.time_us, event.entries)
            case ConnectorResult():
                self.watcher.concluded(shard, event.key, event.item, event.time_us, event.entries)
            case asked:
                self.watcher.asked(asked, event.time_us, event.entries)

    def finish(self) -> None:
        """At rest: nothing was heard that nobody sent, and all that was sent was heard."""
        self.advance()
        for shard, events in enumerate(self._events):
            if events:
                raise Disagreement(f"shard {shard} heard what nobody sent: {events[0]}")
        state = self.watcher.ledger.state
        if state.under_way:
            raise Disagreement(f"{len(state.under_way)} messages were never heard: {next(iter(state.under_way))}")
        state.check()

    def compare_balances(self, shown: Mapping[bytes, tuple[int, int]]) -> None:
        """What Postgres shows as (posted, available) of each account; the operator's have what is posted."""
        state = self.watcher.ledger.state
        expected = {id_: (state.posted[id_, one.currency], one.available) for id_, one in state.accounts.items()}
        for (account, _), posted in state.posted.items():
            expected.setdefault(account, (posted, posted))
        for account in expected.keys() | shown.keys():
            if expected.get(account, (0, 0)) != shown.get(account, (0, 0)):
                raise Disagreement(
                    f"balance of {account.hex()}: expected {expected.get(account)}, shown {shown.get(account)}"
                )


def _items(source: str, value: bytes) -> Iterator[Item]:
    if source == topics.CONNECTOR_RESULTS.name:
        yield decode_result(value)
    elif source != topics.COMMANDS.name:
        yield from decode_credits(value).credits
    elif is_tick(value):
        yield None
    elif is_instruction(value):
        yield decode_instruction(value)
    else:
        yield from map(decode_body, items(value))


def _is_malformed(asked: Command | Instruction) -> bool:
    """The contract's own judgement: it is tested by itself."""
    return (form_refusal(asked) if isinstance(asked, Command) else instruction_refusal(asked)) is not None
