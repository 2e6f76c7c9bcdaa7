"""A whole installation under random operations of all kinds while its processes are killed, followed by the model.

Real brokers, workers, ticker, sink and Postgres, as tests/faults sets them up. The model learns everything from the
topics, read committed, while it happens; the next operations are chosen by what it knows then.
"""

import random
import signal
import time
from collections.abc import Callable

import psycopg
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from millrace.environment import LocalEnvironment
from payments.commands import Command
from schemas import topics
from schemas.codec.commands import encode_command
from schemas.codec.connectors import decode_request, encode_result
from schemas.codec.instructions import encode_instruction
from schemas.codec.ledger import decode_ledger_record
from tests.faults.installation import Installation, running
from tests.faults.run import KEPT_LOGS
from tests.model.follow import INPUTS, Follower, Record
from tests.model.interleaving import OUTCOMES
from tests.model.ledger import authority, place_of
from tests.model.operations import Operations
from tests.model.provider import Provider
from tests.model.run import FAILURES, Disagreed, Outcome
from tests.model.watcher import Disagreement

AT_ONCE, AHEAD_MAX = 50, 1_500
"""Operations sent together, and how many may be undecided: the model's state has to be near the workers'."""

KILL_EVERY = 1_000
"""Operations decided between two kills: by progress and not by time, or a slow machine would never get up again."""

REST_TIMEOUT_S = STALL_TIMEOUT_S = 180.0
"""Without any progress; a worker is back in 10 s here, in a minute where the machine is overloaded."""


class Topics:
    """Reads inputs and ledger as they are committed, and feeds the follower."""

    def __init__(self, env: LocalEnvironment) -> None:
        self._shards = env.settings.shards
        self._inputs: dict[tuple[str, int, int], Record] = {}
        self._reached: dict[tuple[str, int], int] = {}
        self._ledgers: dict[int, list[bytes]] = {shard: [] for shard in range(self._shards)}
        self._consumer = Consumer(
            {
                "bootstrap.servers": env.kafka_bootstrap,
                "group.id": "model.topics",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
                "log_level": 0,
            }
        )
        names = (*INPUTS.values(), topics.LEDGER.name, topics.CONNECTOR_REQUESTS.name)
        self._places = [TopicPartition(name, shard, 0) for name in names for shard in range(self._shards)]
        self._consumer.assign(self._places)
        self.follower = Follower(self._shards, self._input_at)
        self.provider = Provider()

    def read(self, timeout_s: float) -> None:
        """What has come. Raises Disagreement."""
        for message in self._consumer.consume(1_000, timeout_s):
            error = message.error()
            if error is None:
                self._keep(message)
            elif error.code() != KafkaError._PARTITION_EOF:
                continue
            self._reached[message.topic() or "", message.partition() or 0] = (message.offset() or 0) + (error is None)
        for shard, values in self._ledgers.items():
            while values and self._has_inputs_of(shard, values[0]):
                self.follower.read(shard, values.pop(0))
        self.follower.advance()

    def _keep(self, message: Message) -> None:
        topic, shard, value = message.topic() or "", message.partition() or 0, message.value() or b""
        if topic == topics.CONNECTOR_REQUESTS.name:
            self.provider.requests.append((message.key() or b"", decode_request(value)))
        elif topic == topics.LEDGER.name:
            self._ledgers[shard].append(value)
        else:
            self._inputs[topic, shard, message.offset() or 0] = Record(
                message.key() or b"", value, message.timestamp()[1] * 1_000
            )

    def _has_inputs_of(self, shard: int, value: bytes) -> bool:
        header = decode_ledger_record(value).header
        return self._reached.get((INPUTS[header.source], shard), 0) >= header.next_offset

    def _input_at(self, topic: str, shard: int, offset: int) -> Record | None:
        """Each is asked for once, when it is decided; one that was left out would stay."""
        return self._inputs.pop((topic, shard, offset), None)

    def is_at_rest(self) -> bool:
        """Everything was read, decided and heard."""
        if self._inputs or any(self._ledgers.values()) or self.follower.watcher.ledger.state.under_way:
            return False
        ends = ((place, self._consumer.get_watermark_offsets(place)) for place in self._places)
        return all(end and self._reached.get((place.topic, place.partition), 0) >= end[1] for place, end in ends)

    def close(self) -> None:
        self._consumer.close()


class Run:
    """One run against one installation."""

    def __init__(self, installation: Installation, outcome: Outcome, progress: Callable[[Outcome], None]) -> None:
        self._installation = installation
        self._outcome = outcome
        self._progress = progress
        self._topics = Topics(installation.env)
        self._watcher = self._topics.follower.watcher
        self._rng = random.Random(f"kafka {outcome.seed}")
        self._operations = Operations(self._rng, self._watcher.ledger.state, installation.env.settings.shards)
        self._producer = Producer(
            {"bootstrap.servers": installation.env.kafka_bootstrap, "enable.idempotence": True, "log_level": 0}
        )
        self._asked = 0
        self._progressed_s = time.monotonic()

    def play(self, operations: int) -> None:
        """Raises Disagreement."""
        while self._asked < operations:
            self._ask_some(min(AT_ONCE, operations - self._asked))
            self._read(0.01)
            while self._asked - self._watcher.kinds.total() > AHEAD_MAX:
                self._read(0.1)
        self._come_to_rest()

    def _read(self, timeout_s: float) -> None:
        """Follow, and kill when it is time to. Raises Disagreement where nothing is decided any more."""
        before = self._watcher.kinds.total()
        self._topics.read(timeout_s)
        self._outcome.count(self._watcher)
        self._progress(self._outcome)
        decided, now_s = self._watcher.kinds.total(), time.monotonic()
        if decided > before or decided == self._asked:
            self._progressed_s = now_s
        if now_s - self._progressed_s > STALL_TIMEOUT_S:
            raise Disagreement(f"{self._asked - decided} operations wait to be decided, for too long")
        if decided // KILL_EVERY > self._outcome.kills:
            self._kill()

    def _ask_some(self, count: int) -> None:
        for _ in range(count):
            self._operations.now_us = time.time_ns() // 1_000
            asked = self._operations.next()
            value = encode_command(asked) if isinstance(asked, Command) else encode_instruction(asked)
            shard = place_of(asked, self._watcher.ledger.state.home)
            self._producer.produce(topics.COMMANDS.name, value, authority(asked), shard)
            if self._rng.randrange(4) == 0:
                self._answer()
        self._producer.poll(0)
        self._asked += count

    def _answer(self) -> None:
        """The provider has done something of what it was asked."""
        provider = self._topics.provider
        answer = provider.repeat if self._rng.randrange(8) == 0 else provider.answer
        said = answer(self._rng.randrange(1 << 16), self._rng.choice(OUTCOMES))
        if said is not None:
            owner, result = said
            shard = self._watcher.ledger.state.home(owner)
            self._producer.produce(topics.CONNECTOR_RESULTS.name, encode_result(result), owner, shard)

    def _kill(self) -> None:
        services = (*self._installation.workers, self._installation.sink, *self._installation.others.values())
        self._rng.choice(services).signal(signal.SIGKILL)
        self._outcome.kills += 1

    def _come_to_rest(self) -> None:
        self._producer.flush(REST_TIMEOUT_S)
        self._installation.others["ticker"].end()
        if not self._installation.settle():
            raise Disagreement("not everything was decided and applied in time")
        deadline_s = time.monotonic() + REST_TIMEOUT_S
        while not self._topics.is_at_rest() and time.monotonic() < deadline_s:
            self._read(0.2)
        self._topics.close()
        self._topics.follower.finish()
        self._compare_tables()

    def _compare_tables(self) -> None:
        with psycopg.connect(self._installation.database_url) as database:
            rows = database.execute("SELECT account_id, posted_minor, available_minor FROM balances").fetchall()
        self._topics.follower.compare_balances({id_.bytes: (posted, available) for id_, posted, available in rows})


def run_through_kafka(operations: int, seed: int, progress: Callable[[Outcome], None] = lambda _: None) -> Outcome:
    """An installation of its own, which is gone afterwards."""
    outcome, started_s = Outcome(seed), time.monotonic()
    with running(others=["ticker"]) as installation:
        run = Run(installation, outcome, progress)
        try:
            run.play(operations)
        except FAILURES as failure:
            command = f"python -m tests.model --kafka --seed {seed} --operations {operations}"
            what = f"{type(failure).__name__}: {failure}"
            outcome.disagreements.append(Disagreed(0, outcome.operations, what, [], command))
            installation.keep_logs(KEPT_LOGS / f"model-{seed}")
    outcome.seconds = round(time.monotonic() - started_s)
    return outcome
