"""The process `millrace ticker`: tells every shard the time each second, so that holds expire without traffic.

Writes payments.commands. The time of a tick is the broker's, so several tickers do no harm, and a tick that is lost is
made up for by the next.
"""

import logging
import signal
import threading

from confluent_kafka import KafkaError, KafkaException, Producer

from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.codec.instructions import encode_tick
from schemas.topics import COMMANDS

LOGGER = logging.getLogger(__name__)

DELIVERY_TIMEOUT_MS = 5_000
"""A tick that is older is of no use: the next one says more."""


class Ticker:
    """Ticks until it is told to stop, or its producer fails for good."""

    def __init__(self, settings: Settings) -> None:
        self._shards = settings.shards
        self._interval_s = settings.tick_interval_ms / 1_000
        self._stopping = threading.Event()
        self._failed = False
        self._producer = Producer(
            {
                **Brokers.of(settings).configuration(),
                "client.id": "millrace-ticker",
                "acks": "all",
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
                "request.timeout.ms": DELIVERY_TIMEOUT_MS // 2,
                "error_cb": self._on_error,
                "logger": LOGGER,
            }
        )

    def stop(self) -> None:
        """End after the tick under way."""
        self._stopping.set()

    def run(self) -> int:
        """The exit code: 0 when told to stop, 1 when the producer failed."""
        while not self._stopping.wait(self._interval_s) and not self._failed:
            self.tick()
        self._producer.flush(DELIVERY_TIMEOUT_MS / 1_000)
        return 1 if self._failed else 0

    def tick(self) -> None:
        """One tick for every shard. A full queue (no broker for long) drops it."""
        for shard in range(self._shards):
            try:
                self._producer.produce(COMMANDS.name, encode_tick(shard), partition=shard)
            except (BufferError, KafkaException) as refusal:
                LOGGER.warning("no tick for shard %d: %s", shard, refusal)
        self._producer.poll(0)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            LOGGER.critical("the producer failed for good: %s", error.str())
            self._failed = True


def run(settings: Settings) -> int:
    """The process until SIGTERM or SIGINT; its exit code."""
    ticker = Ticker(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ticker.stop())
    return ticker.run()
