"""A world of shards whose topics are lists: records are really encoded, decoded and replayed, only the broker is
absent.

For state and decisions alone; whatever is claimed about exactly-once is tested against a real broker elsewhere.
"""

import shutil
import tempfile
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from payments.commands import Command
from payments.entries import Entry
from payments.movements.instructions import Instruction
from runtime.exactly_once.contract import Chunk
from schemas import topics
from schemas.codec.commands import encode_batch, encode_body, encode_command
from schemas.codec.instructions import encode_instruction, encode_tick
from schemas.codec.ledger import decode_ledger_record
from schemas.partitioning import shard_of
from streams.agents.authorise import authorise
from streams.agents.conclude import conclude
from streams.agents.post import post
from streams.agents.take_back import take_back
from streams.shard import Shard
from streams.tables import Tables

START_MS = 1_700_000_000_000
_MEMORY = Path("/dev/shm")
"""Databases open in 3 ms there, in 30 ms on a disk; a property test opens hundreds."""

Asked = Command | Instruction

AGENTS: dict[str, Callable[[Shard, Chunk], None]] = {
    topics.COMMANDS.name: authorise,
    topics.CREDITS.name: post,
    topics.RETURNS.name: take_back,
    topics.CONNECTOR_RESULTS.name: conclude,
}


class Record:
    """What an agent sees of a Kafka record."""

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes,
        time_ms: int,
        time_type: int = TIMESTAMP_LOG_APPEND_TIME,
    ) -> None:
        self._fields = topic, partition, offset, key, value
        self._timestamp = time_type, time_ms

    def topic(self) -> str:
        return self._fields[0]

    def partition(self) -> int:
        return self._fields[1]

    def offset(self) -> int:
        return self._fields[2]

    def key(self) -> bytes | None:
        return self._fields[3]

    def value(self) -> bytes:
        return self._fields[4]

    def timestamp(self) -> tuple[int, int]:
        return self._timestamp


class World:
    """Shards, their topics, and a clock that stands until it is moved."""

    def __init__(self, shards: int = 4) -> None:
        self.shards = shards
        self.now_ms = START_MS
        self.logs: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        self.decided: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.folder = Path(tempfile.mkdtemp(prefix="world-", dir=_MEMORY if _MEMORY.is_dir() else None))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.tables = Tables(shards, self.folder, lambda: self.now_ms)
        self.restart()

    def restart(self, *shards: int, with_disk: bool = False) -> None:
        """Forget the shards (all without arguments) and rebuild them from their logs, and their disks where they have
        kept them.
        """
        for shard in shards or range(self.shards):
            self.tables.forget(shard)
            if not with_disk:
                shutil.rmtree(self.folder / str(shard), ignore_errors=True)
            restored = self.tables.restore(shard, cast(Any, WorldLog(self, shard)))
            assert restored == {topic: self.decided[topic, shard] for topic in AGENTS if self.decided[topic, shard]}, (
                "the ledger names other inputs than were decided"
            )

    def produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int,
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> None:
        log = self.logs[topic, partition]
        log.append(Record(topic, partition, len(log), key, cast(bytes, value), self.now_ms))

    def send(self, *commands: Asked) -> None:
        """One record per command or instruction, on its authority's partition."""
        for command in commands:
            value = encode_command(command) if isinstance(command, Command) else encode_instruction(command)
            shard = shard_of(command.authority, self.shards)
            self.produce(topics.COMMANDS.name, value, key=command.authority, partition=shard)

    def tick(self, shard: int) -> None:
        """Let the shard know that time has passed."""
        self.produce(topics.COMMANDS.name, encode_tick(shard), partition=shard)

    def send_packed(self, shard: int, commands: Sequence[Command]) -> None:
        """One packed record."""
        bodies = [encode_body(command) for command in commands]
        self.produce(topics.COMMANDS.name, encode_batch(bodies), partition=shard)

    def decide(self, topic: str, shard: int, records: int | None = None) -> None:
        """Let the topic's agent decide what waits (at most `records`), then write the cycle's snapshots."""
        start = self.decided[topic, shard]
        waiting = self.logs[topic, shard][start : None if records is None else start + records]
        if not waiting:
            return
        chunk = Chunk(topic, shard, cast(Sequence[Message], waiting), self.produce)
        AGENTS[topic](self.tables[shard], chunk)
        self.decided[topic, shard] = chunk.next_offset
        self.tables.before_commit([shard], self.produce)
        self.tables.after_commit([shard])

    def settle(self) -> None:
        """Decide everything until nothing waits."""
        while any(self.decided[topic, s] < len(self.logs[topic, s]) for topic in AGENTS for s in range(self.shards)):
            for topic in AGENTS:
                for shard in range(self.shards):
                    self.decide(topic, shard)

    def entries(self, shard: int | None = None) -> Iterator[Entry]:
        """Every entry in the ledger of one shard or of all."""
        for number in range(self.shards) if shard is None else [shard]:
            for record in self.logs[topics.LEDGER.name, number]:
                yield from decode_ledger_record(record.value()).entries()

    def records(self, topic: topics.Topic) -> list[Record]:
        """All records of a topic."""
        return [record for (name, _), log in sorted(self.logs.items()) if name == topic.name for record in log]


class WorldLog:
    """`ShardLog` over a world. Counts what a restore reads of the ledger."""

    def __init__(self, world: World, shard: int) -> None:
        self._world = world
        self._shard = shard
        self.ledger_records_read = 0

    def read(self, topic: str, start_offset: int = 0) -> Iterator[Record]:
        for record in self._world.logs[topic, self._shard][start_offset:]:
            self.ledger_records_read += topic == topics.LEDGER.name
            yield record

    def offset_at(self, topic: str, timestamp_ms: int) -> int:
        log = self._world.logs[topic, self._shard]
        return next((record.offset() for record in log if record.timestamp()[1] >= timestamp_ms), len(log))
