"""Random payments straight onto payments.commands, and waiting until all of them are final in Postgres."""

import random
import secrets
import time
from collections.abc import Callable

import psycopg
from confluent_kafka import Producer

from millrace.environment import LocalEnvironment
from payments.commands import NO_REPLY, Command, CommandKind
from payments.entries import EntryKind
from payments.identifiers import NIL, derive_operation_id, uuid7
from payments.postings import clearing_account
from runtime.kafka_client import Brokers
from schemas import topics
from schemas.codec.commands import encode_batch, encode_body, encode_command
from schemas.partitioning import shard_of

CURRENCY = "EUR"
FINAL = [EntryKind.POSTED, EntryKind.REJECTED, EntryKind.RETURNED]


class Traffic:
    """Seeded; the accounts are new in every run, so that several tests may share topics."""

    def __init__(self, env: LocalEnvironment, seed: int, accounts: int = 40) -> None:
        self._env = env
        self._shards = env.settings.shards
        self._random = random.Random(seed)
        self._run = secrets.token_hex(4)
        self._producer = Producer({**Brokers.of(env.settings).configuration(), "acks": "all", "linger.ms": 1})
        now_ms = time.time_ns() // 1_000_000
        self.accounts = [uuid7(now_ms, secrets.token_bytes(10)) for _ in range(accounts)]
        self.sent: list[Command] = []

    def open_accounts(self, funds_minor: int = 5_000) -> None:
        """Open and fund every account but the last, which stays unknown: credits to it are returned."""
        for account in self.accounts[:-1]:
            self._send(Command(CommandKind.OPEN_ACCOUNT, account, NIL, 0, CURRENCY, NO_REPLY, "open"))
            self._send(self._deposit(account, funds_minor))
        self._producer.flush()

    def pay(self, payments: int, tick: Callable[[], None] = lambda: None) -> None:
        """Payments one by one, some repeated, some packed; `tick` runs after every tenth."""
        for number in range(payments):
            payer, payee = self._random.sample(self.accounts[:-1], 1) + self._random.sample(self.accounts, 1)
            key = f"{self._run}-{number}"
            command = Command(
                CommandKind.TRANSFER, payer, payee, self._random.randrange(1, 900), CURRENCY, NO_REPLY, key
            )
            self._send(command)
            if number % 11 == 0:
                self._send(command)
            if number % 10 == 0:
                self._producer.poll(0)
                tick()
        self._producer.flush()

    def pay_packed(self, payments: int) -> None:
        """The same as packed records of 50."""
        by_shard: dict[int, list[bytes]] = {}
        for number in range(payments):
            payer, payee = self._random.sample(self.accounts[:-1], 2)
            command = Command(CommandKind.TRANSFER, payer, payee, 1, CURRENCY, NO_REPLY, f"{self._run}-p{number}")
            self.sent.append(command)
            by_shard.setdefault(shard_of(payer, self._shards), []).append(encode_body(command))
        for shard, bodies in by_shard.items():
            for at in range(0, len(bodies), 50):
                self._producer.produce(topics.COMMANDS.name, encode_batch(bodies[at : at + 50]), None, shard)
        self._producer.flush()

    def pay_in(self, account: bytes, amount_minor: int) -> bytes:
        """One more deposit; its id."""
        deposit = self._deposit(account, amount_minor)._replace(idempotency_key=secrets.token_hex(8))
        self._send(deposit)
        self._producer.flush()
        return derive_operation_id(account, deposit.idempotency_key, shard_of(account, self._shards))

    def poison(self, value: bytes) -> None:
        """A record that can't be decided, on a random partition."""
        self._producer.produce(topics.COMMANDS.name, value, b"poison", self._random.randrange(self._shards))
        self._producer.flush()

    def unsettled(self) -> int:
        """Payments and deposits of this run that are not final in Postgres yet."""
        expected = {(c.authority, c.idempotency_key) for c in self.sent if c.kind is not CommandKind.OPEN_ACCOUNT}
        accounts = [account.hex() for account in self.accounts]
        query = "SELECT count(*) FROM payments WHERE (payer = ANY(%s) OR payee = ANY(%s)) AND state = ANY(%s)"
        with psycopg.connect(self._env.database_url) as connection:
            row = connection.execute(query, [accounts, accounts, FINAL]).fetchone()
        return len(expected) - (int(row[0]) if row else 0)

    def await_settled(self, tick: Callable[[], None] = lambda: None, timeout_s: float = 60) -> None:
        """Raises TimeoutError."""
        deadline_s = time.monotonic() + timeout_s
        while left := self.unsettled():
            tick()
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{left} payments are not final after {timeout_s:.0f} s")
            time.sleep(0.1)

    def _deposit(self, account: bytes, amount_minor: int) -> Command:
        return Command(
            CommandKind.DEPOSIT, clearing_account(CURRENCY), account, amount_minor, CURRENCY, NO_REPLY, "funds"
        )

    def _send(self, command: Command) -> None:
        self.sent.append(command)
        shard = shard_of(command.authority, self._shards)
        self._producer.produce(topics.COMMANDS.name, encode_command(command), command.authority, shard)
