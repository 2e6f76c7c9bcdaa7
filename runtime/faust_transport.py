"""Faust's transport `millrace://`: agents consume chunks, and the exactly-once engine does all of the Kafka work.

Reads chunks from the engine's thread; hands each to Faust as one event and reports back when it is acknowledged.
Faust's own consumer, producer, assignor, recovery and commit are bypassed: `faust.App(…,
broker="millrace://host:port")` picks this class through the entry point group `faust.transports`, and
`runtime.faust_app.bind` gives it a store and settings.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import confluent_kafka
from faust.transport import base
from faust.transport import consumer as faust_consumer
from faust.transport import producer as faust_producer
from faust.types import TP, RecordMetadata

from runtime.exactly_once.crash import crash
from runtime.faust_driver import FaustDriver

FETCHER_WAKE_S = 0.2
"""How soon the idle fetcher task notices that Faust stops it."""


class Producer(faust_producer.Producer):  # type: ignore[misc]
    """`topic.send` and `app.send` write into the slot's open transaction."""

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> "asyncio.Future[RecordMetadata]":
        """Raises ValueError without a partition: the sender chooses the shard, never the client."""
        if partition is None or value is None:
            raise ValueError(f"{topic}: send needs a value and an explicit partition")
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers or ())
        self.app.consumer.driver.produce(topic, value, key=key, partition=partition, headers=pairs)
        sent: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        # the offset is known to the broker alone until the flush
        sent.set_result(RecordMetadata(topic, partition, TP(topic, partition), -1, None, None))
        return sent

    async def send_and_wait(self, *arguments: Any, **options: Any) -> RecordMetadata:
        return await (await self.send(*arguments, **options))

    async def create_topic(self, topic: str, *_: Any, **__: Any) -> None:
        """Topics come from the catalogue, never from an agent."""

    async def flush(self) -> None:
        """The commit cycle flushes."""

    def supports_headers(self) -> bool:
        return True


class TransactionManager(faust_consumer.TransactionManager):  # type: ignore[misc]
    """What Faust asks of transactions: all of it happens in the engine's commit cycle."""

    async def send(self, *arguments: Any, **options: Any) -> Any:
        return await self.producer.send(*arguments, **options)

    async def send_and_wait(self, *arguments: Any, **options: Any) -> RecordMetadata:
        return await (await self.send(*arguments, **options))

    async def flush(self) -> None:
        """The commit cycle flushes."""

    async def commit(self, *_: Any, **__: Any) -> bool:
        return True

    async def create_topic(self, *_: Any, **__: Any) -> None:
        """Topics come from the catalogue, never from an agent."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """The engine has committed before Faust hears of it."""

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP]) -> None:
        """One producer per slot, whatever the partitions."""


class Consumer(faust_consumer.Consumer):  # type: ignore[misc]
    """Faust's view of the engine: an assignment, a flow, and acknowledgements."""

    consumer_stopped_errors = ()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.driver = FaustDriver(self.app, self)
        self.owned: set[TP] = set()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Every agent has registered its topics: check them and let the engine join the group."""
        self.driver.start(set(topics))

    async def on_stop(self) -> None:
        """Drained before by `app.on_stop`; after a failed start there is nothing to drain."""
        await self.driver.drain()

    async def on_task_error(self, exc: BaseException) -> None:
        """An agent raised. Runs before Faust acknowledges the event in spite of it."""
        crash(f"agent: {type(exc).__name__}: {exc}")

    def assignment(self) -> set[TP]:
        return set(self.owned)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's fetcher has nothing to fetch; the engine delivers."""
        self.resume_flow()
        while not (self.should_stop or fetcher.should_stop):
            await asyncio.sleep(FETCHER_WAKE_S)

    async def wait_empty(self) -> None:
        """The engine delivers nothing that it has not waited for."""

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        return True

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return True

    async def perform_seek(self) -> None:
        """Positions belong to the engine, which restores the shards before Faust hears of them."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return {}

    async def _seek(self, partition: TP, offset: int) -> None:
        raise NotImplementedError("positions move with the state, in the engine alone")

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        raise NotImplementedError("positions move with the state, in the engine alone")

    async def position(self, tp: TP) -> int | None:
        return None

    def highwater(self, tp: TP) -> int:
        return 0

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return {}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return {}

    def topic_partitions(self, topic: str) -> int | None:
        return None

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        return partition

    async def create_topic(self, topic: str, *_: Any, **__: Any) -> None:
        """Topics come from the catalogue, never from an agent."""

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        raise NotImplementedError("the engine delivers")

    def _to_message(self, tp: TP, record: Any) -> Any:
        raise NotImplementedError("the engine delivers")

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """The barrier's deadline sees a stuck agent, and the engine sees a stuck consumer."""

    def verify_recovery_event_path(self, now: float, tp: TP) -> None:
        """The engine restores before it assigns."""


class Transport(base.Transport):  # type: ignore[misc]
    """The entry point's class."""

    Consumer = Consumer
    Producer = Producer
    TransactionManager = TransactionManager
    default_port = 9092
    driver_version = f"millrace confluent-kafka={confluent_kafka.__version__}"


__all__: Sequence[str] = ("Transport",)
