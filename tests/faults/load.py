"""Payments straight onto payments.commands at a steady rate, from a thread of its own, and what Kafka acknowledged."""

import math
import random
import secrets
import threading
import time
from typing import Any, NamedTuple

from confluent_kafka import Producer

from millrace.environment import LocalEnvironment
from payments.commands import MAX_DESCRIPTION_CHARS, NO_REPLY, Command, CommandKind
from payments.identifiers import NIL, uuid7
from payments.postings import clearing_account
from schemas import topics
from schemas.codec.commands import MAX_ITEMS, encode_batch, encode_body, encode_command
from schemas.partitioning import shard_of

CURRENCY = "EUR"
FUNDS_MINOR = 30_000
"""About what an account sends in a run, so that some payments are refused."""

REPEATED_PERCENT, UNKNOWN_PAYEE_PERCENT = 5, 3
SLICE_S = 0.02
LONGEST_LETTER = "\N{WATER WAVE}"
"""Four bytes of UTF-8."""


class Sent(NamedTuple):
    """One payment as it was sent."""

    payer: bytes
    payee: bytes
    amount_minor: int
    key: str


class Load(threading.Thread):
    """Runs until `finish`. Every payment has a key of its own; some are sent twice."""

    def __init__(
        self,
        env: LocalEnvironment,
        seed: int,
        rate_per_s: int,
        accounts: int = 400,
        poison_per_mille: int = 0,
        large_batch_every_s: float = math.inf,
    ) -> None:
        super().__init__(name="load", daemon=True)
        self._random = random.Random(seed)
        self._shards = env.settings.shards
        self._rate_per_s = rate_per_s
        self._poison_per_mille = poison_per_mille
        self._large_batch_every_s = large_batch_every_s
        self._run = secrets.token_hex(4)
        self._finishing = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": env.kafka_bootstrap,
                "enable.idempotence": True,
                "linger.ms": 2,
                "message.timeout.ms": 120_000,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": 0,
            }
        )
        now_ms = time.time_ns() // 1_000_000
        self.accounts = [uuid7(now_ms, secrets.token_bytes(10)) for _ in range(accounts)]
        self._stranger = uuid7(now_ms, secrets.token_bytes(10))
        self.sent: dict[str, Sent] = {}
        self.unacknowledged: set[str] = set()
        """Keys of payments of which Kafka acknowledged no copy: they may or may not be in the log."""
        self.poisoned = 0
        self.large_batches = 0
        """Acknowledged, like `poisoned`."""

    def open_accounts(self) -> None:
        """Before the load: open and fund every account."""
        for account in self.accounts:
            self._produce(Command(CommandKind.OPEN_ACCOUNT, account, NIL, 0, CURRENCY, NO_REPLY, "open"))
        for account in self.accounts:
            payer = clearing_account(CURRENCY)
            self._produce(Command(CommandKind.DEPOSIT, payer, account, FUNDS_MINOR, CURRENCY, NO_REPLY, "funds"))
        self._producer.flush(60)

    def run(self) -> None:
        """Send in slices of 20 ms, never more than the rate since the start."""
        started_s, due, single, batches = time.monotonic(), 0.0, 0, 0
        while not self._finishing.is_set():
            due += self._rate_per_s * SLICE_S
            while single < due:
                self._pay(len(self.sent))
                single += 1
            if time.monotonic() - started_s > (batches + 1) * self._large_batch_every_s:
                self._pay_many()
                batches += 1
            self._producer.poll(0)
            time.sleep(max(0.0, started_s + due / self._rate_per_s - time.monotonic()))

    def finish(self) -> None:
        """Stop sending and wait for the acknowledgements."""
        self._finishing.set()
        self.join()
        self._producer.flush(130)

    def disagreements(self, database_url: str) -> list[str]:
        """What callers were told and can't be true. Kafka tells its producers nothing of outcomes."""
        return []

    def missing(self) -> list[str]:
        """What was to be sent beside the payments and of which Kafka took nothing."""
        wanted = {
            "poison": self._poison_per_mille and not self.poisoned,
            "large batches": self._large_batch_every_s < math.inf and not self.large_batches,
        }
        return [f"no {what} reached the log" for what, is_missing in wanted.items() if is_missing]

    def _pay(self, number: int) -> None:
        command = self._payment(self._random.choice(self.accounts), number, "")
        self._produce(command)
        if self._random.randrange(100) < REPEATED_PERCENT:
            self._produce(command)
        if self._random.randrange(1_000) < self._poison_per_mille:
            self._poison()

    def _pay_many(self) -> None:
        """The largest record of the contract: a thousand payments of one shard, each with the longest text there is.
        What is decided about it has to be cut, or the broker would refuse it for its size."""
        shard = self._random.randrange(self._shards)
        payers = [account for account in self.accounts if shard_of(account, self._shards) == shard]
        first = len(self.sent)
        text = LONGEST_LETTER * MAX_DESCRIPTION_CHARS
        commands = [self._payment(self._random.choice(payers), first + item, text) for item in range(MAX_ITEMS)]
        keys = [command.idempotency_key for command in commands]
        self._send(encode_batch([encode_body(command) for command in commands]), payers[0], keys)

    def _payment(self, payer: bytes, number: int, text: str) -> Command:
        unknown = self._random.randrange(100) < UNKNOWN_PAYEE_PERCENT
        payee = self._stranger if unknown else self._random.choice(self.accounts)
        key = f"{self._run}-{number}"
        amount_minor = self._random.randrange(1, 500)
        self.sent[key] = Sent(payer, payee, amount_minor, key)
        return Command(CommandKind.TRANSFER, payer, payee, amount_minor, CURRENCY, NO_REPLY, key, text)

    def _poison(self) -> None:
        shard = self._random.randrange(self._shards)

        def delivered(error: Any, _: Any) -> None:
            self.poisoned += error is None

        value = self._random.randbytes(40)
        self._producer.produce(topics.COMMANDS.name, value, b"poison", shard, on_delivery=delivered)

    def _produce(self, command: Command) -> None:
        keys = [command.idempotency_key] if command.kind is CommandKind.TRANSFER else []
        self._send(encode_command(command), command.authority, keys)

    def _send(self, value: bytes, authority: bytes, keys: list[str]) -> None:
        self.unacknowledged.update(keys)

        def delivered(error: Any, _: Any) -> None:
            if error is None:
                self.unacknowledged.difference_update(keys)
                self.large_batches += len(keys) == MAX_ITEMS

        shard = shard_of(authority, self._shards)
        self._producer.produce(topics.COMMANDS.name, value, authority, shard, on_delivery=delivered)
