"""Worker processes of one run, the load they get, and the wait until all of it is decided."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from runtime.exactly_once.broker import transaction_admin
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.kafka_client import Brokers
from tests.exactly_once.application import verifier
from tests.exactly_once.application.account_sums import SHARDS, Topics

SESSION_TIMEOUT_MS = 6_000
TRANSACTION_TIMEOUT_MS = 5_000
ACCOUNTS = 24
FUNDED = 400
START_DEADLINE_S = 30.0
DRAIN_DEADLINE_S = 40.0

ROOT = Path(__file__).parents[3]


class Worker:
    """One worker process; its stderr is kept for the reason it gave when it ended."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **environment, "PYTHONFAULTHANDLER": "1"},
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    @property
    def stderr(self) -> str:
        return self._log.read_text()

    def exited(self, within_s: float = 30.0) -> int:
        """Its exit code. Raises TimeoutExpired for a process that goes on."""
        return self.process.wait(within_s)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def has_crashed(self) -> bool:
        """Whether it ended itself with a reason; a supervisor would start it again."""
        return self.process.poll() == EXIT_CRASHED

    def stop(self) -> int:
        """SIGTERM, as a supervisor sends it. Fails with what each thread was at where it goes on for too long."""
        self.signal(signal.SIGTERM)
        try:
            return self.exited(15)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGABRT)
            self.exited()
            raise AssertionError(f"it goes on 15 s after SIGTERM: {self.stderr}") from None

    def is_stopped(self) -> bool:
        """Whether the process has stopped itself at a failpoint. Fails when it has ended instead."""
        assert self.process.poll() is None, self.stderr
        return _state(self.process.pid) == "T"


class Run:
    """One set of topics, one group, any number of workers, one load."""

    def __init__(self, broker: str, name: str, folder: Path) -> None:
        self.broker, self.name, self._folder = broker, name, folder
        self.topics = Topics.of(name)
        self.workers: list[Worker] = []
        self._sent = 0
        self._producer = Producer({"bootstrap.servers": broker, "linger.ms": 1})
        create_topics(broker, [NewTopic(topic, SHARDS, 1) for topic in self.topics])

    def start(
        self, slot: int = 0, mode: str = "plain", *, failpoint: str = "", mutant: str = "", **environment: str
    ) -> Worker:
        """Start a worker; further settings as MILLRACE_… or other variables."""
        command = [sys.executable, "-m", "tests.exactly_once.application.worker", self.name, mode]
        return self.spawn([*command, mutant] if mutant else command, slot, EOS_FAILPOINT=failpoint, **environment)

    def spawn(self, command: list[str], slot: int, **environment: str) -> Worker:
        variables = {
            "KAFKA_BOOTSTRAP": self.broker,
            "MILLRACE_SLOT": str(slot),
            "MILLRACE_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
            "MILLRACE_TRANSACTION_TIMEOUT_MS": str(TRANSACTION_TIMEOUT_MS),
            "ACCOUNT_SUMS_RUN": self.name,
            **environment,
        }
        worker = Worker(command, variables, self._folder / f"worker-{len(self.workers)}.log")
        self.workers.append(worker)
        return worker

    def fund(self) -> None:
        for account in range(ACCOUNTS):
            self._send({"id": f"fund-{account}", "from": None, "to": account, "amount": FUNDED}, account % SHARDS)
        self._producer.flush()

    def transfer(self, count: int, rate_per_s: float = 0.0) -> None:
        """Transfers between random accounts; some exceed the payer's balance."""
        chance = random.Random(self._sent)
        for _ in range(count):
            payer, payee = chance.randrange(ACCOUNTS), chance.randrange(ACCOUNTS)
            self._send(
                {"id": f"transfer-{self._sent}", "from": payer, "to": payee, "amount": chance.randrange(1, 90)},
                payer % SHARDS,
            )
            if rate_per_s:
                self._producer.poll(0)
                time.sleep(1 / rate_per_s)
        self._producer.flush()

    def poison(self, value: bytes, shard: int) -> None:
        self._producer.produce(self.topics.commands, value, partition=shard)
        self._producer.flush()

    def wait_decided(self, supervise: Callable[[], None] = lambda: None) -> None:
        """Until every input record lies below the group's committed offsets; `supervise` is called meanwhile."""
        deadline = time.monotonic() + DRAIN_DEADLINE_S
        while not verifier.is_drained(self.broker, self.name, self.topics):
            assert time.monotonic() < deadline, "not decided: " + " | ".join(w.stderr[-300:] for w in self.workers)
            time.sleep(0.1)
            supervise()

    def differences(self) -> list[str]:
        return verifier.differences(self.broker, self.name, self.topics)

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.signal(signal.SIGKILL)
                worker.exited()

    def _send(self, command: dict[str, object], shard: int) -> None:
        self._producer.produce(self.topics.commands, json.dumps(command).encode(), partition=shard)
        self._sent += 1


def create_topics(broker: str, topics: list[NewTopic]) -> None:
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 2})
    for made in admin.create_topics(topics).values():
        made.result(20)
    names = [topic.topic for topic in topics]
    deadline = time.monotonic() + START_DEADLINE_S
    while any(_leaderless(admin, name) for name in names):
        assert time.monotonic() < deadline, "topics without leaders"
        time.sleep(0.05)
    while not _answers_admin_calls(broker):
        assert time.monotonic() < deadline, "leaders that do not lead yet"
        time.sleep(0.05)


def _answers_admin_calls(broker: str) -> bool:
    """A leader named by the metadata may still answer NOT_LEADER for some 10 ms."""
    try:
        transaction_admin.open_producers(transaction_admin.cluster(Brokers(broker)))
    except transaction_admin.IncompleteView:
        return False
    return True


def _leaderless(admin: AdminClient, topic: str) -> bool:
    found = admin.list_topics(topic, timeout=10).topics[topic]
    return not found.partitions or any(partition.leader < 0 for partition in found.partitions.values())


def _state(pid: int) -> str:
    """The kernel's state letter: T is stopped."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0]
