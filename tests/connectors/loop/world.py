"""Two topics of a test's own, a process of the connectors between them and the sandbox, and what came out."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from runtime.settings import Settings
from schemas import topics
from schemas.codec.connectors import ConnectorRequest, ConnectorResult, decode_result, encode_request
from schemas.partitioning import shard_of
from tests.connectors.loop.connector_process import route_of, start
from tests.connectors.sandbox_process import SandboxProcess
from tests.support.committed_records import committed_records
from tests.support.waiting import eventually

SHARDS = 3
EXIT_CRASHED = 75


class Told(NamedTuple):
    """One record of the results."""

    key: bytes
    shard: int
    result: ConnectorResult


class World:
    """`name` is the group, the transactional ids' prefix and the topics' prefix."""

    def __init__(self, name: str, settings: Settings, sandbox: SandboxProcess) -> None:
        self.name = name
        self.sandbox = sandbox
        self.route = route_of(name)
        self._settings = settings
        self._processes: list[subprocess.Popen[str]] = []
        self._admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
        for topic, made in zip((topics.CONNECTOR_REQUESTS, topics.CONNECTOR_RESULTS), self.route, strict=True):
            wanted = NewTopic(made, SHARDS, 1, config=topics.configuration(topic, 1))
            self._admin.create_topics([wanted])[made].result(30)
        self._producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "acks": "all"})

    def ask(
        self, requests: Iterable[ConnectorRequest], key_of: Callable[[ConnectorRequest], bytes] | None = None
    ) -> None:
        """As the deciding stage does: keyed by whoever waits, on that key's shard."""
        for request in requests:
            key = key_of(request) if key_of else request.request_id
            self.write(shard_of(key, SHARDS), encode_request(request), key)
        assert self._producer.flush(30) == 0

    @contextmanager
    def transaction(self) -> Iterator[Producer]:
        """As the deciding stage writes: open until the block ends, aborted where it raises."""
        bootstrap = self._settings.kafka_bootstrap
        producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{self.name}.writer"})
        producer.init_transactions(30)
        producer.begin_transaction()
        yield producer
        producer.commit_transaction(30)

    def write(self, shard: int, value: bytes, key: bytes = b"") -> None:
        self._producer.produce(self.route.requests, value, key, shard)

    def flush(self) -> None:
        assert self._producer.flush(30) == 0

    @contextmanager
    def running(self, failpoint: str = "", slot: int = 0, **options: int) -> Iterator[subprocess.Popen[str]]:
        """A process; ended with the block where it still runs."""
        process = self.start(failpoint, slot, **options)
        yield process
        self.stop(process)

    def start(self, failpoint: str = "", slot: int = 0, **options: int) -> subprocess.Popen[str]:
        process = start(self._settings.model_copy(update={"slot": slot}), self.name, failpoint, **options)
        self._processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            process.terminate()
            process.wait(30)

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
            assert process.stderr is not None
            process.stderr.close()

    def told(self) -> list[Told]:
        """Every committed result, in the order of each partition."""
        return [Told(r.key() or b"", r.partition() or 0, decode_result(r.value() or b"")) for r in self._read(1)]

    def requests_kept(self) -> list[Message]:
        """Every committed request."""
        return self._read(0)

    def await_results(self, count: int) -> list[Told]:
        """At least so many; fails where they do not come."""
        eventually(lambda: self._count() >= count, f"{count} results")
        return self.told()

    def committed(self) -> dict[int, tuple[int, str]]:
        """Shard → offset and metadata of the group."""
        consumer = Consumer({"bootstrap.servers": self._settings.kafka_bootstrap, "group.id": self.name})
        asked = [TopicPartition(self.route.requests, shard) for shard in range(SHARDS)]
        found = {one.partition: (one.offset, one.metadata or "") for one in consumer.committed(asked, 30)}
        consumer.close()
        return found

    def _count(self) -> int:
        return len(self._read(1))

    def _read(self, of_route: int) -> list[Message]:
        """To the last stable offset of now."""
        return committed_records(self._settings.kafka_bootstrap, self.route[of_route], SHARDS)


def per_request(told: Iterable[Told]) -> Counter[tuple[bytes, int]]:
    """How many results each attempt of each request has."""
    return Counter((one.result.request_id, one.result.attempt) for one in told)
