"""The real agents with the real codec and the state on disk (tests/streams/world.py), followed by the model.

What is asked, how many records an agent takes at a time, and when a shard restarts is random; everything that the model
learns, it learns from the topics.
"""

import random

from payments.commands import Command
from schemas import topics
from schemas.codec.commands import encode_batch, encode_body
from schemas.codec.connectors import decode_request, encode_result
from schemas.codec.instructions import encode_instruction, encode_tick
from tests.model.follow import Follower, Record
from tests.model.interleaving import OUTCOMES
from tests.model.ledger import authority, place_of
from tests.model.operations import Operations
from tests.model.provider import Provider
from tests.streams.world import AGENTS, World


class Agents:
    """A world of agents and what the topics say about it."""

    def __init__(self, seed: int, shards: int = 3) -> None:
        self._rng = random.Random(f"agents {seed}")
        self.world = World(shards)
        self.follower = Follower(shards, self._input_at)
        self._operations = Operations(self._rng, self.follower.watcher.ledger.state, shards)
        self._read = [0] * shards
        self._provider = Provider()
        self._asked = [0] * shards
        """Requests that the provider has read, by shard."""

    def play(self, operations: int) -> None:
        """Raises Disagreement."""
        for _ in range(operations):
            self._ask()
            if self._rng.randrange(3) == 0:
                topic, shard = self._rng.choice(list(AGENTS)), self._rng.randrange(self.world.shards)
                self.world.decide(topic, shard, self._rng.choice((1, 3, None)))
                self._follow()
            if self._rng.randrange(4) == 0:
                self._answer()
            if self._rng.randrange(400) == 0:
                self.world.restart(self._rng.randrange(self.world.shards), with_disk=self._rng.random() < 0.5)
        self.world.settle()
        self._follow()
        self.follower.finish()

    def _ask(self) -> None:
        self.world.now_ms += self._rng.choice((0, 0, 1, 1_000, 60_000))
        self._operations.now_us = self.world.now_ms * 1_000
        if self._rng.randrange(50) == 0:
            shard = self._rng.randrange(self.world.shards)
            self.world.produce(topics.COMMANDS.name, encode_tick(shard), partition=shard)
        asked = self._operations.next()
        packed = encode_batch([encode_body(asked)]) if isinstance(asked, Command) else encode_instruction(asked)
        shard = place_of(asked, self.follower.watcher.ledger.state.home)
        self.world.produce(topics.COMMANDS.name, packed, key=authority(asked), partition=shard)

    def _answer(self) -> None:
        """The provider reads what it was asked, and has done something of it."""
        for shard, read in enumerate(self._asked):
            log = self.world.logs[topics.CONNECTOR_REQUESTS.name, shard]
            self._provider.requests += [(record.key() or b"", decode_request(record.value())) for record in log[read:]]
            self._asked[shard] = len(log)
        answer = self._provider.repeat if self._rng.randrange(8) == 0 else self._provider.answer
        said = answer(self._rng.randrange(1 << 16), self._rng.choice(OUTCOMES))
        if said is not None:
            owner, result = said
            shard = self.follower.watcher.ledger.state.home(owner)
            self.world.produce(topics.CONNECTOR_RESULTS.name, encode_result(result), key=owner, partition=shard)

    def _follow(self) -> None:
        for shard, read in enumerate(self._read):
            log = self.world.logs[topics.LEDGER.name, shard]
            for record in log[read:]:
                self.follower.read(shard, record.value())
            self._read[shard] = len(log)
        self.follower.advance()

    def _input_at(self, topic: str, shard: int, offset: int) -> Record | None:
        record = self.world.logs[topic, shard][offset]
        return Record(record.key() or b"", record.value(), record.timestamp()[1] * 1_000)
