"""The slot's one transactional producer: retries that end, a gate before the first write, a new epoch after any doubt.

Writes records, the input offsets and the commit. Guarantees: whatever can't be finished within its deadline ends the
process, and no record is written outside a cycle.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from runtime.exactly_once.crash import crash
from runtime.exactly_once.failpoints import END_TXN_FLIGHT_S, Failpoints
from runtime.exactly_once.watchdog import Watchdog
from runtime.kafka_client import Brokers
from runtime.settings import Settings

INIT_DEADLINE_S = 60.0
"""A fenced predecessor's markers are written first: one transaction timeout (10 s), a broker's start (3 s)."""

STEP_DEADLINE_S = 10.0
"""After a broker crash librdkafka calls a lost transaction retriable for > 60 s: one transaction timeout."""

SEND_OFFSETS_DEADLINE_S = 3.0
"""2-30 ms on a broker that works. After the kill of a broker the call hung in librdkafka until the watchdog ended the
process, which made up 12 of the 20 s until the next commit; a start costs less than waiting longer."""

FLUSH_DEADLINE_S = 15.0
"""A flush of 20,000 records takes 30 ms; message.timeout.ms = the transaction timeout ends a hopeless one first."""

SLOW_COMMIT_S = 2.0
"""Beyond this a delayed EndTxn may still be under way and would hit the next one of the same epoch (KIP-890)."""

ONLY_A_CONSEQUENCE = (KafkaError._STATE, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
"""What every call and every record of a transaction ends with once it has failed, whatever it failed of."""


def transactional_id(application: str, slot: int) -> str:
    """One name per worker slot: its next incarnation fences this one and ends its open transaction."""
    return f"{application}.{slot}"


class TransactionProducer:
    """Begins with `start`; per cycle `open`, `produce`…, `close`, `flush`, `send_offsets`, `commit`, and `renew`."""

    def __init__(
        self,
        application: str,
        settings: Settings,
        failpoints: Failpoints,
        gate: Callable[[str], None],
        *,
        linger_ms: int = 0,
    ) -> None:
        """`linger_ms`: how long a record may wait for others before it is sent; `flush` waits for nothing."""
        self.transactional_id = transactional_id(application, settings.slot)
        self.rotations = 0
        self._brokers = Brokers.of(settings)
        self._configuration = producer_configuration(self.transactional_id, settings, linger_ms)
        self._failpoints = failpoints
        self._watchdog = Watchdog()
        self._gate = gate
        self._producer: Any = None
        self._suspect = ""
        self._writable = False

    def start(self) -> None:
        """Fence the previous incarnation of the slot, pass the start gate, begin the first transaction."""
        self._suspect = ""
        self._producer = Producer({**self._configuration, "on_delivery": self._on_delivery, "error_cb": self._on_error})
        self._bounded("init_transactions", self._producer.init_transactions, INIT_DEADLINE_S)
        self._gate(self.transactional_id)
        self._producer.begin_transaction()

    def open(self) -> None:
        """Chunks are being decided, or the store writes its last records: `produce` is allowed."""
        self._writable = True

    def close(self) -> None:
        """Nobody is deciding: a record written now would come from code that nothing waits for."""
        self._writable = False

    def produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int,
        headers: Sequence[tuple[str, bytes]] | None = None,
    ) -> None:
        """See `contract.Produce`."""
        if not self._writable:
            raise RuntimeError(f"{topic}: nothing may be produced outside a chunk; its record would belong to no cycle")
        if partition < 0:
            raise ValueError(f"{topic}: partition {partition}; the stage chooses the partition, never the client")
        self._failpoints.reach("while_deciding")
        deadline = time.monotonic() + STEP_DEADLINE_S
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=list(headers) if headers else None)
                return
            except BufferError:
                self._wait_for_room(deadline)
            except KafkaException as failure:
                if failure.args[0].code() not in ONLY_A_CONSEQUENCE:
                    raise
                crash(f"write to {topic} by {self.transactional_id}: {self._explained(failure.args[0], topic)}")

    def serve_callbacks(self) -> None:
        """Errors that arrive while nothing is produced."""
        self._producer.poll(0)

    def flush(self) -> None:
        """Every record of the cycle is on the broker; nothing more may be written.

        Before send_offsets, not inside it: without an explicit flush the pair send_offsets + commit of 1,000 records
        took 91 ms (p50) instead of 4.
        """
        self.close()
        begun_s = time.monotonic()
        with self._watchdog.within("flush", FLUSH_DEADLINE_S):
            remaining = self._producer.flush(FLUSH_DEADLINE_S)
        if self._suspect and time.monotonic() - begun_s > SLOW_COMMIT_S:
            # send_offsets would hang: seen after every kill of the one broker, for 4-5 s until the watchdog ended it
            crash(f"{self.transactional_id}: the broker was lost while records were on their way: {self._suspect}")
        if remaining:
            crash(f"{self.transactional_id}: {remaining} records not on the broker after {FLUSH_DEADLINE_S:.0f} s")

    def send_offsets(self, offsets: Sequence[TopicPartition], group_metadata: bytes) -> None:
        """Move the group's offsets inside the transaction, fenced by the group's generation and member id."""
        send = self._producer.send_offsets_to_transaction
        self._bounded(
            "send_offsets", lambda left_s: send(list(offsets), group_metadata, left_s), SEND_OFFSETS_DEADLINE_S
        )

    def commit(self) -> None:
        """Records and offsets become visible together."""
        self._failpoints.reach("mid_endtxn", END_TXN_FLIGHT_S)
        self._bounded("commit_transaction", self._producer.commit_transaction, STEP_DEADLINE_S)

    def renew(self, ended_in_s: float) -> None:
        """Begin the next transaction; with a new epoch where a stray EndTxn of the last one may still arrive: its
        offsets and its end took `ended_in_s`."""
        if ended_in_s <= SLOW_COMMIT_S and not self._suspect:
            self._producer.begin_transaction()
            return
        self.rotations += 1
        self._producer = None
        self.start()

    def _wait_for_room(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            crash(f"{self.transactional_id}: producer queue full for {STEP_DEADLINE_S:.0f} s")
        self._producer.poll(0.05)

    def _bounded(self, step: str, call: Callable[[float], Any], deadline_s: float) -> None:
        """Repeat a retriable step until its deadline; anything else, and the deadline, end the process."""
        with self._watchdog.within(f"{step} of {self.transactional_id}", deadline_s):
            self._repeated(step, call, time.monotonic() + deadline_s)

    def _repeated(self, step: str, call: Callable[[float], Any], deadline: float) -> None:
        while True:
            try:
                call(max(0.1, deadline - time.monotonic()))
                return
            except KafkaException as failure:
                error: KafkaError = failure.args[0]
                if not error.retriable() or time.monotonic() >= deadline:
                    said = self._brokers.explained(error, f"{step} as {self.transactional_id}")
                    crash(f"{step} of {self.transactional_id}: {said}")
                self._suspect = str(error)
                time.sleep(0.05)

    def _on_delivery(self, error: KafkaError | None, record: Message) -> None:
        """Called for failures alone: the transaction is lost, and waiting for the commit to say so never ends."""
        if error is not None:
            topic = record.topic() or "nowhere"
            said = self._explained(error, topic)
            crash(f"delivery to {topic}[{record.partition()}] by {self.transactional_id}: {said}")

    def _explained(self, error: KafkaError, topic: str) -> str:
        """In words, and by its cause: the client names it only where the next transaction is asked for."""
        if error.code() in ONLY_A_CONSEQUENCE:
            try:
                self._producer.begin_transaction()
            except KafkaException as cause:
                error = cause.args[0]
        return self._brokers.explained(error, f"write {topic}")

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            said = self._brokers.explained(error, f"use the transactional id {self.transactional_id}")
            crash(f"producer {self.transactional_id}: {said}")
        self._suspect = str(error)


def producer_configuration(name: str, settings: Settings, linger_ms: int = 0) -> dict[str, Any]:
    """librdkafka's settings, each one that matters said explicitly."""
    return {
        **Brokers.of(settings).configuration(),
        "client.id": name,
        "transactional.id": name,
        "transaction.timeout.ms": settings.transaction_timeout_ms,
        "acks": "all",
        "enable.idempotence": True,
        "delivery.report.only.error": True,
        "linger.ms": linger_ms,  # by default 0: one packed record per destination and chunk, waiting batches nothing
        "compression.type": "none",
        "queue.buffering.max.messages": 200_000,  # 1,000-record chunks × outputs of one cycle, 20 times over
        "queue.buffering.max.kbytes": 262_144,
        "socket.nagle.disable": True,
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 2,  # errors come back through error_cb; librdkafka's own lines only repeat them
    }
