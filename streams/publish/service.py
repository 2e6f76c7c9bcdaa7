"""The publisher as a process: how it begins and ends.

Reads the settings; runs `Publisher` until SIGTERM or SIGINT. Exit 75 asks the supervisor for a new start, exit 70 says
that a start will not help.
"""

import signal
import sys
import threading
from typing import Final

from confluent_kafka import KafkaException

from payments.errors import InvariantViolation
from runtime.exactly_once.broker.broker_version import refuse_broken_broker
from runtime.exactly_once.broker.start_gate import pass_start_gate
from runtime.exactly_once.crash import EXIT_CRASHED
from runtime.exactly_once.failpoints import Failpoints
from runtime.exactly_once.transaction import TransactionProducer
from runtime.kafka_client import AccessRefused, Brokers
from runtime.kafka_reader import AssignedReader, PositionLost
from runtime.settings import Settings
from schemas.access import PUBLISHER
from streams.publish.loop import Publisher, Route
from streams.publish.order import MAX_SHARDS

EXIT_INVARIANT: Final = 70
"""EX_SOFTWARE: the log contradicts itself. Restarting changes nothing; a human has to look."""

LINGER_MS: Final = 50
"""Events are small and many: they are sent when the transaction ends, or when a batch of them is full."""


def run(settings: Settings, application: str = PUBLISHER, route: Route | None = None) -> int:
    """The process until it is told to end; its exit code, with the reason on stderr where it is not 0."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        _ready(settings, application, route or Route(settings.event_source)).run(stop)
    except (InvariantViolation, PositionLost) as violation:
        return _ended(str(violation), EXIT_INVARIANT)
    except (AccessRefused, KafkaException, RuntimeError, TimeoutError) as failure:
        return _ended(str(failure), EXIT_CRASHED)
    return 0


def _ready(settings: Settings, application: str, route: Route) -> Publisher:
    """Fence the previous publisher, then read where it stood: its offsets are decided by then."""
    brokers, failpoints = Brokers.of(settings), Failpoints(settings.failpoint)
    refuse_broken_broker(brokers, accept=settings.accept_broker_version)
    reader = AssignedReader(brokers, route.ledger, application)
    partitions = reader.partition_count()
    if partitions != settings.shards or partitions > MAX_SHARDS:
        raise InvariantViolation(
            f"{route.ledger} has {partitions} partitions and this installation {settings.shards} shards: set"
            f" MILLRACE_SHARDS to what the topics were made with, at most {MAX_SHARDS}"
        )
    only = settings.model_copy(update={"slot": 0})  # one transactional id, whichever slot this process was given
    producer = TransactionProducer(
        application, only, failpoints, lambda name: pass_start_gate(brokers, name), linger_ms=LINGER_MS
    )
    producer.start()
    return Publisher(reader, producer, settings.shards, route, failpoints)


def _ended(reason: str, code: int) -> int:
    sys.stderr.write(f"millrace: publisher: {' '.join(reason.split())}\n")
    return code
