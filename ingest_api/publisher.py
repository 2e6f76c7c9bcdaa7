"""Commands → payments.commands: one idempotent producer per process, acknowledged by all in-sync replicas.

Keeps what is handed over and not yet acknowledged (bounded in bytes). Guarantees: an Acknowledgement ends, within the
delivery time-out, either with the position of every record or as unknown. A poll thread takes the delivery reports and
wakes the loop once per drain, however many they are.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from payments.errors import Unavailable
from runtime.kafka_client import AccessRefused, Brokers, is_refusal
from runtime.kafka_login import refuse_wrong_login
from runtime.settings import Settings
from schemas.topics import COMMANDS, partitions

logger = logging.getLogger(__name__)

_LINGER_MS = 1  # 1 → 31 µs, 5 → 29–35 µs CPU per single POST: longer only adds latency
_QUEUE_RECORDS = 1_000_000  # librdkafka's own bound stays above ours, which is counted in bytes
_RECORD_OVERHEAD_BYTES = 512  # what librdkafka keeps per record beyond its value, generously
_POLL_S = 0.1
_TOPIC_WAIT_S = 30
_METADATA_S = 10


class QueueFull(Unavailable):
    """Too much is waiting for Kafka: nothing of this request was taken."""


class DeliveryUnknown(Unavailable):
    """Kafka did not acknowledge in time: the commands may or may not be in the log. Repeat with the same keys."""


class Record(NamedTuple):
    """One record for the commands topic. The partition is the shard of every command in it."""

    partition: int
    key: bytes
    value: bytes


class Acknowledgement:
    """Ends when Kafka has every record of one request: a counter, not a future per record."""

    __slots__ = ("_delivered", "_done", "_failure", "_missing", "bytes", "positions")

    def __init__(self, records: Sequence[Record], delivered: "deque[_Report]", done: "asyncio.Future[None]") -> None:
        self.bytes = sum(len(record.value) for record in records) + _RECORD_OVERHEAD_BYTES * len(records)
        self.positions: dict[int, int] = {}
        """Shard → offset of the last record of this request in it."""
        self._delivered = delivered
        self._done = done
        self._missing = len(records)
        self._failure: KafkaError | None = None

    def report(self, error: KafkaError | None, message: Message) -> None:
        """Called by the poll thread."""
        self._delivered.append((self, error, message.partition(), message.offset()))

    def settle(self, error: KafkaError | None, partition: int | None, offset: int | None) -> bool:
        """One record is settled; True with the last one. Called by the loop."""
        if error is not None:
            self._failure = error
        elif partition is not None and offset is not None:
            self.positions[partition] = max(offset, self.positions.get(partition, -1))
        self._missing -= 1
        if self._missing == 0 and not self._done.done():
            self._done.set_result(None)
        return self._missing == 0

    def abandon(self, unsent: int) -> bool:
        """The producer did not take the last records of this request; True where it took none."""
        self._failure = KafkaError(KafkaError._QUEUE_FULL)
        self._missing -= unsent
        return self._missing == 0

    async def wait(self) -> dict[int, int]:
        """The positions. Raises DeliveryUnknown. Bounded by the producer's delivery time-out."""
        await self._done
        if self._failure is not None:
            raise DeliveryUnknown(self._failure.str())
        return self.positions


_Report = tuple[Acknowledgement, KafkaError | None, int | None, int | None]


class Publisher:
    """Hands records to Kafka. `send` and the reports run on the loop; only polling has a thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._brokers = Brokers.of(settings)
        self._producer = Producer(_configuration(settings, self._on_error))
        self._delivered: deque[_Report] = deque()
        self._pending_bytes = 0
        self._refused = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="publisher-poll", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.failure: str | None = None
        """Set for good when the producer cannot go on: the process has to be replaced."""

    async def start(self) -> None:
        """Waits for the commands topic. Raises Unavailable where it is missing or has another number of shards."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._await_topic)
        self._thread.start()

    @property
    def pending_bytes(self) -> int:
        return self._pending_bytes

    def send(self, records: Sequence[Record], headers: list[tuple[str, bytes]]) -> Acknowledgement:
        """Hand all records over, in order. Raises QueueFull where none was taken."""
        assert self._loop is not None
        acknowledgement = Acknowledgement(records, self._delivered, self._loop.create_future())
        if self.failure is not None:
            raise QueueFull(self.failure)
        if self._pending_bytes + acknowledgement.bytes > self._settings.api_queue_bytes:
            raise QueueFull(f"{self._pending_bytes} bytes wait for Kafka")
        self._pending_bytes += acknowledgement.bytes
        self._hand_over(records, headers, acknowledgement)
        return acknowledgement

    def _hand_over(
        self, records: Sequence[Record], headers: list[tuple[str, bytes]], acknowledgement: Acknowledgement
    ) -> None:
        produce, report = self._producer.produce, acknowledgement.report
        for sent, record in enumerate(records):
            try:
                produce(
                    COMMANDS.name,
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=headers,
                    on_delivery=report,
                )
            except (BufferError, KafkaException) as error:
                if acknowledgement.abandon(len(records) - sent):
                    self._pending_bytes -= acknowledgement.bytes
                    raise QueueFull(str(error)) from error
                return

    def _poll(self) -> None:
        assert self._loop is not None
        while not self._stopping.is_set():
            self._producer.poll(_POLL_S)
            if self._delivered:
                try:
                    self._loop.call_soon_threadsafe(self._drain)
                except RuntimeError:
                    return  # the loop is closed: nobody waits any more

    def _drain(self) -> None:
        while self._delivered:
            acknowledgement, error, partition, offset = self._delivered.popleft()
            self._tell_refusal(error)
            if acknowledgement.settle(error, partition, offset):
                self._pending_bytes -= acknowledgement.bytes

    def _tell_refusal(self, error: KafkaError | None) -> None:
        """One line when the right to write is lost, not one per record."""
        refused = error is not None and is_refusal(error)
        if error is not None and refused and not self._refused:
            logger.error(self._brokers.explained(error, f"write {COMMANDS.name}"))
        self._refused = refused

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self.failure = f"the producer failed for good: {error.str()}"
            logger.critical(self.failure)

    def _await_topic(self) -> None:
        refuse_wrong_login(self._brokers)
        deadline = time.monotonic() + _TOPIC_WAIT_S
        while True:
            found, wanted = self._partitions(), partitions(COMMANDS, self._settings.shards)
            if found == wanted:
                return
            if found:
                raise Unavailable(
                    f"{COMMANDS.name} has {found} partitions but MILLRACE_SHARDS is {wanted}: set it to the number that"
                    " the topics were made with"
                )
            if time.monotonic() > deadline:
                raise Unavailable(f"{COMMANDS.name} is not there after {_TOPIC_WAIT_S} s: create the topics first")
            time.sleep(0.2)

    def _partitions(self) -> int:
        try:
            topic: Any = self._producer.list_topics(COMMANDS.name, timeout=5).topics[COMMANDS.name]
        except KafkaException:
            return 0
        if topic.error is not None and is_refusal(topic.error):
            raise Unavailable(self._brokers.explained(topic.error, f"write {COMMANDS.name}"))
        return len(topic.partitions)

    async def reachable(self) -> bool:
        """True where a broker answers within two seconds, the topic is ours to use and the producer has not failed."""
        if self.failure is not None:
            return False
        try:
            found: Any = await asyncio.to_thread(self._producer.list_topics, COMMANDS.name, 2)
        except KafkaException:
            return False
        return found.topics[COMMANDS.name].error is None

    async def stop(self) -> None:
        """Deliver what was handed over, then end the poll thread."""
        await asyncio.to_thread(self._producer.flush, self._settings.api_delivery_timeout_ms / 1000)
        self._drain()
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, 5)


def require_shards(producer: Producer, brokers: Brokers, shards: int) -> None:
    """Raises Unavailable where the commands topic has another number of partitions, or Kafka does not answer."""
    try:
        refuse_wrong_login(brokers)
        topic = producer.list_topics(COMMANDS.name, _METADATA_S).topics[COMMANDS.name]
        if topic.error is not None and is_refusal(topic.error):
            raise Unavailable(brokers.explained(topic.error, f"write {COMMANDS.name}"))
        found = len(topic.partitions)
    except AccessRefused as refused:
        raise Unavailable(str(refused)) from refused
    except KafkaException as error:
        raise Unavailable(f"Kafka does not answer: {error.args[0].str()}") from error
    if found != shards:
        raise Unavailable(f"{COMMANDS.name} has {found} partitions, MILLRACE_SHARDS is {shards}: correct it")


def _configuration(settings: Settings, on_error: Any) -> dict[str, Any]:
    return {
        **Brokers.of(settings).configuration(),
        "client.id": f"millrace-api-{settings.api_process_id}",
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": _LINGER_MS,
        "compression.type": "none",
        "delivery.timeout.ms": settings.api_delivery_timeout_ms,
        "request.timeout.ms": settings.api_delivery_timeout_ms // 2,
        "socket.keepalive.enable": True,
        "queue.buffering.max.messages": _QUEUE_RECORDS,
        "queue.buffering.max.kbytes": 2 * settings.api_queue_bytes // 1024,
        "topic.metadata.refresh.interval.ms": 60_000,
        "error_cb": on_error,
        "logger": logger,
        "log_level": 4,
    }
