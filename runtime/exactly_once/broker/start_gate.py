"""Between `init_transactions` and the first write: nothing of this producer id may still be open anywhere.

The id's state is then Empty, so an open transaction of it is hanging, whatever its age. The next commit on that
partition would make an aborted record visible (the phantom of KAFKA-20734); so it is finished as decided, or the
worker stays down.
"""

import time
from collections.abc import Sequence

from confluent_kafka import KafkaException

from runtime.exactly_once.broker.hanging import Decision, Verdict, finish_as_decided
from runtime.exactly_once.broker.transaction_admin import (
    IncompleteView,
    OpenProducer,
    cluster,
    open_producers,
    transaction,
)
from runtime.kafka_client import AccessRefused, Brokers

VIEW_DEADLINE_S = 45.0
"""A broker crash leaves partitions leaderless for 9-26 s; topics being made have no leader for some 100 ms."""


def pass_start_gate(brokers: Brokers, transactional_id: str) -> None:
    """Returns when nothing is open. Raises RuntimeError when a transaction stays open or its decision is unknown."""
    left_open = _look(brokers, transactional_id)
    if not left_open:
        return
    verdicts = _finished(brokers, transactional_id, left_open)
    refused = [verdict.open.partition for verdict in verdicts if verdict.decision is Decision.REFUSED]
    if refused:
        raise RuntimeError(
            f"start gate of {transactional_id}: no decision on record for {refused}; an operator must look"
        )
    still_open = _look(brokers, transactional_id)
    if still_open:
        raise RuntimeError(f"start gate of {transactional_id}: still open on {[p.partition for p in still_open]}")


def _finished(brokers: Brokers, transactional_id: str, left_open: Sequence[OpenProducer]) -> list[Verdict]:
    """Raises RuntimeError where a worker's principal may not do so: with ACLs that is the operator's alone."""
    try:
        return finish_as_decided(brokers, left_open)
    except AccessRefused as refused:
        raise RuntimeError(
            f"start gate of {transactional_id}: a transaction is open on {[p.partition for p in left_open]} and"
            f" {brokers.login.principal} may not end it: `millrace transactions hanging --finish` does so as decided"
        ) from refused


def _look(brokers: Brokers, transactional_id: str) -> list[OpenProducer]:
    """Every partition where this producer id has a transaction open, once the whole cluster can be seen."""
    deadline = time.monotonic() + VIEW_DEADLINE_S
    while True:
        try:
            return _open_of(brokers, transactional_id)
        except (IncompleteView, OSError, KafkaException) as gap:
            if time.monotonic() > deadline:
                raise RuntimeError(f"start gate of {transactional_id}: {gap}") from gap
            time.sleep(0.2)


def _open_of(brokers: Brokers, transactional_id: str) -> list[OpenProducer]:
    view = cluster(brokers)
    own = transaction(view, transactional_id)
    if own.state != "Empty":
        raise RuntimeError(f"start gate of {transactional_id}: state {own.state}; two workers with the same slot?")
    return [producer for producer in open_producers(view) if producer.producer_id == own.producer_id]
