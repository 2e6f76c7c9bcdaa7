"""The real agents over lists: every record is really encoded and decoded, only broker, disk and restarts are absent."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from payments.commands import Command
from payments.entries import Entry
from payments.movements.instructions import Instruction
from runtime.exactly_once.contract import Chunk
from schemas import topics
from schemas.codec.commands import encode_command
from schemas.codec.connectors import decode_request, encode_result
from schemas.codec.instructions import encode_instruction, encode_tick
from schemas.codec.ledger import decode_ledger_record
from streams.agents.authorise import authorise
from streams.agents.conclude import conclude
from streams.agents.post import post
from streams.agents.take_back import take_back
from streams.shard import Shard
from tests.sinks.every_kind import answers_of_provider, shard_meant

_AGENTS: dict[str, Callable[[Shard, Chunk], None]] = {
    topics.COMMANDS.name: authorise,
    topics.CREDITS.name: post,
    topics.RETURNS.name: take_back,
    topics.CONNECTOR_RESULTS.name: conclude,
}


class Taken:
    """What an agent sees of a record."""

    def __init__(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, time_ms: int
    ) -> None:
        self._fields = topic, partition, offset, value
        self._key = key
        self._time_ms = time_ms

    def topic(self) -> str:
        return self._fields[0]

    def partition(self) -> int:
        return self._fields[1]

    def offset(self) -> int:
        return self._fields[2]

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._fields[3]

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_LOG_APPEND_TIME, self._time_ms


class ShardsInMemory:
    """The `Drive` of a script."""

    def __init__(self, shards: int, now_ms: int = 1_790_000_000_000) -> None:
        self.shards = [Shard(number, shards) for number in range(shards)]
        self.logs: defaultdict[tuple[str, int], list[Taken]] = defaultdict(list)
        self._decided: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._now_ms = now_ms

    def now_us(self) -> int:
        return self._now_ms * 1_000

    def set_time(self, now_ms: int) -> None:
        """The broker's clock stands here."""
        self._now_ms = now_ms

    def ask(self, asked: Command | Instruction) -> None:
        value = encode_command(asked) if isinstance(asked, Command) else encode_instruction(asked)
        self.produce(topics.COMMANDS.name, value, partition=shard_meant(asked))

    def tick_at(self, time_us: int) -> None:
        self._now_ms = time_us // 1_000
        for shard in range(len(self.shards)):
            self.produce(topics.COMMANDS.name, encode_tick(shard), partition=shard)

    def settle(self) -> None:
        while any(self._decide(topic, shard) for topic in _AGENTS for shard in self.shards):
            self._now_ms += 1

    def _decide(self, topic: str, shard: Shard) -> bool:
        start, log = self._decided[topic, shard.number], self.logs[topic, shard.number]
        if start == len(log):
            return False
        waiting = cast(Sequence[Message], log[start:])
        self._decided[topic, shard.number] = len(log)
        _AGENTS[topic](shard, Chunk(topic, shard.number, waiting, self.produce))
        return True

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
        log.append(Taken(topic, partition, len(log), key, value, self._now_ms))
        if topic == topics.CONNECTOR_REQUESTS.name:
            for result in answers_of_provider(decode_request(value or b"")):
                self.produce(topics.CONNECTOR_RESULTS.name, encode_result(result), key=key, partition=partition)

    def ledger(self, shard: int) -> list[bytes]:
        """Record values of a shard's ledger."""
        return [record.value() or b"" for record in self.logs[topics.LEDGER.name, shard]]

    def entries(self) -> list[Entry]:
        """Of all shards."""
        shards = range(len(self.shards))
        return [
            entry for shard in shards for value in self.ledger(shard) for entry in decode_ledger_record(value).entries()
        ]
