"""A whole log to audit: real topics on the real broker, written by the real agents, applied by the real sink.

The agents run here without their engine: one transaction per chunk, nobody crashes. Topics have names of their own.
"""

import random
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise
from pathlib import Path

import psycopg
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from millrace.audit.ledger.partition_log import AuditedTopics, PartitionLog, extents
from payments.commands import NO_REPLY, Command, CommandKind, account_command
from payments.identifiers import NIL, derive_account_id
from payments.movements.instructions import Instruction
from payments.postings import clearing_account
from runtime.exactly_once.contract import Chunk
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.codec.commands import encode_batch, encode_body, encode_command
from schemas.codec.connectors import decode_request, encode_result
from schemas.codec.instructions import encode_instruction, encode_tick
from schemas.partitioning import shard_of
from schemas.topics import CONNECTOR_REQUESTS, CONNECTOR_RESULTS
from sinks.service import Sink
from streams.shard import Shard
from tests.sinks.every_kind import SHARDS as SHARDS
from tests.sinks.every_kind import EveryKind, answers_of_provider, shard_meant
from tests.streams.world import AGENTS

ACCOUNTS = [derive_account_id("audit", str(number)) for number in range(14)]
FROZEN, CLOSED, DOLLARS, STRANGER = ACCOUNTS[-4:]
CLEARING = clearing_account("EUR")


def make_topics(bootstrap: str, timestamp_type: str = "LogAppendTime") -> AuditedTopics:
    """Empty topics like those of the catalogue, under names that nobody else uses."""
    suffix = secrets.token_hex(5)
    names = AuditedTopics(*(f"test.audit.{suffix}.{name}" for name in AuditedTopics._fields))
    config = {"message.timestamp.type": timestamp_type}
    admin = AdminClient({"bootstrap.servers": bootstrap})  # must outlive its futures
    futures = admin.create_topics([NewTopic(name, SHARDS, 1, config=config) for name in names], operation_timeout=30)
    for future in futures.values():
        future.result(30)
    return names


class Pipeline:
    """Topics and the shards that decide what is on them."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.topics = make_topics(bootstrap)
        self.shards = [Shard(number, SHARDS) for number in range(SHARDS)]
        self._names = dict(zip(AuditedTopics(), self.topics, strict=True))
        self._undecided: dict[tuple[str, int], list[Message]] = {}
        self._asked: list[Command | Instruction] = []
        self._producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": secrets.token_hex(5)})
        self._producer.init_transactions(30)

    def send(self, commands: Sequence[Command], batched: bool = False) -> None:
        """Write commands, one record each or one packed record per shard."""
        self._producer.begin_transaction()
        for shard in range(SHARDS):
            own = [command for command in commands if shard_of(command.authority, SHARDS) == shard]
            if batched and own:
                self._write(shard, own[0].authority, encode_batch([encode_body(command) for command in own]))
            elif not batched:
                for command in own:
                    self._write(shard, command.authority, encode_command(command))
        self._producer.commit_transaction(30)

    def send_raw(self, shard: int, value: bytes, key: bytes = b"anybody") -> None:
        """Write any bytes where a command should be."""
        self._producer.begin_transaction()
        self._write(shard, key, value)
        self._producer.commit_transaction(30)

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def ask(self, asked: Command | Instruction) -> None:
        """Written with the next `settle`."""
        self._asked.append(asked)

    def settle(self) -> None:
        """Write what was asked, and decide everything."""
        self._producer.begin_transaction()
        for asked in self._asked:
            value = encode_command(asked) if isinstance(asked, Command) else encode_instruction(asked)
            self._write(shard_meant(asked), asked.authority, value)
        self._producer.commit_transaction(30)
        self._asked.clear()
        self.decide()

    def tick_at(self, time_us: int) -> None:
        time.sleep(max(0, time_us - self.now_us()) / 1_000_000)
        for shard in range(SHARDS):
            self.send_raw(shard, encode_tick(shard))

    def _write(self, shard: int, key: bytes, value: bytes) -> None:
        self._producer.produce(self.topics.commands, value, key, shard, on_delivery=self._delivered)

    def _delivered(self, error: KafkaError | None, record: Message) -> None:
        """As the broker has it, with its offset and time: reading it back took six times as long as all the rest."""
        assert error is None, error
        self._undecided.setdefault((record.topic(), record.partition()), []).append(record)

    def decide(self) -> None:
        """Run the agents until everything that was sent is decided and nothing is in flight."""
        moving = True
        while moving:
            moving = False
            for topic, agent in AGENTS.items():
                for shard in self.shards:
                    records = self._undecided.pop((self._names[topic], shard.number), [])
                    if records:
                        moving = True
                        self._producer.begin_transaction()
                        agent(shard, Chunk(topic, shard.number, records, self._produce))
                        self._producer.commit_transaction(30)

    def _produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int,
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> None:
        if topic in self._names:  # replies are for nobody here
            name, marks = self._names[topic], list(headers or ())
            self._producer.produce(name, value, key, partition, headers=marks, on_delivery=self._delivered)
        if topic == CONNECTOR_REQUESTS.name:
            for result in answers_of_provider(decode_request(value or b"")):
                self._produce(CONNECTOR_RESULTS.name, encode_result(result), key=key, partition=partition)


def records_of(bootstrap: str, topic: str) -> Iterator[Message]:
    """Everything on a topic, partition after partition."""
    for (name, partition), extent in extents(Brokers(bootstrap), (topic,), SHARDS).items():
        yield from PartitionLog(Brokers(bootstrap), name, partition, extent, lambda _: None)


def apply_ledger(bootstrap: str, topic: str, database: str, home: Path) -> None:
    """Let the sink apply a whole ledger to a database."""
    settings = Settings(home=home, kafka_bootstrap=bootstrap, database_url=database, shards=SHARDS)
    wanted = sum(1 for _ in records_of(bootstrap, topic))
    sink = Sink(settings, topic=topic)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(sink.run)
        try:
            while _records_applied(database) < wanted:
                assert not running.done(), "the sink ended early"
                time.sleep(0.05)
        finally:
            sink.stop()
        running.result(30)


def _records_applied(database: str) -> int:
    with psycopg.connect(database) as connection:
        try:
            row = connection.execute("SELECT coalesce(sum(ledger_sequence), 0) FROM sink_progress").fetchone()
        except psycopg.errors.UndefinedTable:
            return -1
    return int(row[0]) if row is not None else 0


def payments_of_every_kind(pipeline: Pipeline, seed: int) -> None:
    """Accounts, deposits, a few hundred payments that end in every way there is, and every other kind of movement."""
    numbers = count()
    chance = random.Random(seed)

    def command(kind: CommandKind, payer: bytes, payee: bytes, amount: int, currency: str = "EUR") -> Command:
        words = "" if chance.random() < 0.7 else f"rent {chance.random()}"
        return Command(kind, payer, payee, amount, currency, NO_REPLY, f"key {next(numbers)}", words)

    opened = [account for account in ACCOUNTS if account != STRANGER]
    pipeline.send([command(CommandKind.OPEN_ACCOUNT, account, NIL, 0) for account in opened if account != DOLLARS])
    pipeline.send([command(CommandKind.OPEN_ACCOUNT, DOLLARS, NIL, 500, "USD")])
    pipeline.send([command(CommandKind.DEPOSIT, CLEARING, account, 2_000) for account in opened], batched=True)
    pipeline.send([account_command(CommandKind.FREEZE_ACCOUNT, FROZEN, "f")])
    pipeline.send([account_command(CommandKind.CLOSE_ACCOUNT, account, "c") for account in (CLOSED, STRANGER)])
    pipeline.send([command(CommandKind.SET_OVERDRAFT_LIMIT, ACCOUNTS[0], NIL, 300, "")])
    pipeline.send([command(CommandKind.DEPOSIT, clearing_account("USD"), DOLLARS, 700, "USD")])
    pipeline.decide()
    pairs = [(chance.choice(ACCOUNTS), chance.choice([*ACCOUNTS, CLEARING])) for _ in range(300)]
    transfers = [command(CommandKind.TRANSFER, *pair, chance.randrange(1, 700)) for pair in pairs]
    pipeline.send(transfers[:200], batched=True)
    pipeline.decide()
    pipeline.send(transfers[200:] + transfers[50:60])
    pipeline.send([transfers[7]._replace(amount_minor=1)])
    _malformed(pipeline, transfers[0])
    pipeline.decide()
    EveryKind(pipeline).run()


def pay_until(ended: threading.Event, pipeline: Pipeline) -> None:
    """Rounds of transfers, each decided, while somebody looks at log and tables."""
    pairs = list(pairwise(ACCOUNTS))
    for number in count():
        if ended.is_set():
            return
        of_round = [Command(CommandKind.TRANSFER, *pair, 1, "EUR", NO_REPLY, f"round {number}") for pair in pairs]
        pipeline.send(of_round)
        pipeline.decide()


def _malformed(pipeline: Pipeline, command: Command) -> None:
    shard = shard_of(command.authority, SHARDS)
    pipeline.send_raw(shard, b"no record")
    pipeline.send_raw(shard, b"")
    pipeline.send_raw(shard, encode_command(command._replace(idempotency_key="")))
    pipeline.send_raw(shard, encode_command(command._replace(description="d" * 141)))
    pipeline.send_raw((shard + 1) % SHARDS, encode_command(command._replace(idempotency_key="elsewhere")))
    good = encode_body(command._replace(idempotency_key="behind a bad one"))
    pipeline.send_raw(shard, encode_batch([b"bad", good]))
