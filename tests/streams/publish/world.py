"""Two topics of a test's own, a publisher between them, and what a reader of committed records sees of it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Message
from confluent_kafka.admin import AdminClient, NewTopic

from payments.events.event import Event
from runtime.settings import Settings
from schemas import topics
from schemas.events.codec import decode_event
from tests.sinks.every_kind import SHARDS
from tests.sinks.ledger_topic import LedgerTopic
from tests.streams.publish.publisher_process import route_of, start
from tests.streams.publish.script import expected, ledger
from tests.support.committed_records import committed_records
from tests.support.waiting import eventually


class World:
    """`name` is the group, the transactional id's prefix and the topics' prefix."""

    def __init__(self, name: str, broker: str) -> None:
        self.name = name
        self.route = route_of(name)
        self.settings = Settings(
            kafka_bootstrap=broker, shards=SHARDS, transaction_timeout_ms=3_000, session_timeout_ms=6_000
        )
        self.ledger = LedgerTopic(broker, self.route.ledger, SHARDS)
        self._processes: list[subprocess.Popen[str]] = []
        made = NewTopic(self.route.events, SHARDS, 1, config=topics.configuration(topics.EVENTS, 1))
        self._admin = AdminClient({"bootstrap.servers": broker})  # kept: its futures end with it
        self._admin.create_topics([made])[self.route.events].result(30)

    def write(self, shard: int, *, first: int = 0, until: int | None = None) -> None:
        """Records of the script, a transaction each, as the agents write them."""
        for value in ledger()[shard][first:until]:
            self.ledger.publish_value(shard, value)

    def start(self, failpoint: str = "") -> subprocess.Popen[str]:
        process = start(self.settings, self.name, failpoint)
        self._processes.append(process)
        return process

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """A process; ended in order with the block."""
        process = self.start()
        yield process
        process.terminate()
        assert process.wait(30) == 0

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
            assert process.stderr is not None
            process.stderr.close()

    def await_all(self) -> list[tuple[str, Event]]:
        """Id and event of all that is told, once it is as much as the script tells."""
        wanted = len(expected())
        eventually(lambda: len(self.records()) >= wanted, f"{wanted} events")
        return [decode_event(record.value() or b"") for record in self.records()]

    def records(self) -> list[Message]:
        """Every committed event, in the order of each partition."""
        return committed_records(self.settings.kafka_bootstrap, self.route.events, SHARDS)
