"""What a principal may try at the brokers; each operation ends with a KafkaException where it is refused.

Nothing that is tried here changes the books: writes are aborted, or go to topics of the tests' own.
"""

import secrets
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from millrace.access import binding
from runtime.kafka_client import Brokers
from schemas.access import SUBSCRIBER, Grant, Operation, Resource
from schemas.topics import LEDGER

Try = Callable[[Brokers], None]

_TIMEOUT_S = 20
_REFUSED_S = 1.0
"""A record may come before the refusal of the group, which another broker connection brings."""

_QUIET = {"log_level": 0}


def write(topic: str) -> Try:
    """One record, as outside producers write it."""

    def attempt(brokers: Brokers) -> None:
        failures: list[Any] = []
        producer = Producer({**brokers.configuration(), **_QUIET})
        producer.produce(topic, b"forged", partition=0, on_delivery=lambda error, _: failures.append(error))
        producer.flush(_TIMEOUT_S)
        assert failures, "no delivery report"
        if failures[0] is not None:
            raise KafkaException(failures[0])

    return attempt


def write_and_abort(topic: str, name: str) -> Try:
    """One record in a transaction of that id, which is aborted."""

    def attempt(brokers: Brokers) -> None:
        failures: list[Any] = []
        producer = Producer({**brokers.configuration(), **_QUIET, "transactional.id": name})
        producer.init_transactions(_TIMEOUT_S)
        producer.begin_transaction()
        producer.produce(topic, b"forged", partition=0, on_delivery=lambda error, _: failures.append(error))
        producer.flush(_TIMEOUT_S)
        if failures[0] is None:
            producer.abort_transaction(_TIMEOUT_S)
        else:
            raise KafkaException(failures[0])

    return attempt


def use_transactional_id(name: str) -> Try:
    """Fence whoever has that id. Only for ids that are refused, or nobody's."""

    def attempt(brokers: Brokers) -> None:
        Producer({**brokers.configuration(), **_QUIET, "transactional.id": name}).init_transactions(_TIMEOUT_S)

    return attempt


def read(topic: str, group: str) -> Try:
    """The topic from its beginning, up to the first event and a moment longer."""

    def attempt(brokers: Brokers) -> None:
        configuration = {"group.id": group, "auto.offset.reset": "earliest", "enable.partition.eof": True}
        consumer = Consumer({**brokers.configuration(), **_QUIET, **configuration, "enable.auto.commit": False})
        try:
            _refuse_hidden(consumer, topic)
            consumer.assign([TopicPartition(topic, 0, 0)])
            event = consumer.poll(_TIMEOUT_S)
            assert event is not None, "neither a record nor a refusal"
            deadline_s = time.monotonic() + _REFUSED_S
            while event is not None:
                error = event.error()
                if error is not None and error.name() != "_PARTITION_EOF":
                    raise KafkaException(error)
                event = consumer.poll(max(0.0, deadline_s - time.monotonic()))
        finally:
            consumer.close()

    return attempt


def _administer(call: Callable[[AdminClient], dict[Any, Any]]) -> Try:
    def attempt(brokers: Brokers) -> None:
        admin = AdminClient({**brokers.configuration(), **_QUIET})
        for future in call(admin).values():
            future.result(_TIMEOUT_S)

    return attempt


def _refuse_hidden(client: Any, topic: str) -> None:
    """The client waits for the leader of a topic that it may not see; the metadata's answer is the broker's refusal."""
    hidden = client.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].error
    if hidden is not None:
        raise KafkaException(hidden)


def commit_offsets(group: str) -> Try:
    """Move a group's offset. Only for groups that are refused, or one's own."""
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(LEDGER.name, 0, 1)])
    return _administer(lambda admin: dict(admin.alter_consumer_group_offsets([wanted])))


def _shorten_retention(admin: AdminClient) -> dict[Any, Any]:
    entry = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
    ledger = ConfigResource(ResourceType.TOPIC, LEDGER.name, incremental_configs=[entry])
    return dict(admin.incremental_alter_configs([ledger]))


def _delete_records(admin: AdminClient) -> dict[Any, Any]:
    _refuse_hidden(admin, LEDGER.name)
    return dict(admin.delete_records([TopicPartition(LEDGER.name, 0, 1)]))


create_topic = _administer(lambda admin: admin.create_topics([NewTopic(f"test.{secrets.token_hex(4)}", 1, 1)]))
delete_topic = _administer(lambda admin: admin.delete_topics([LEDGER.name]))
delete_records = _administer(_delete_records)
shorten_retention = _administer(_shorten_retention)
grant_right = _administer(
    lambda admin: admin.create_acls(
        [binding(SUBSCRIBER, Grant(Resource.TOPIC, LEDGER.name, Operation.WRITE, "a forged right"))]
    )
)
see_ends = _administer(lambda admin: admin.list_offsets({TopicPartition(LEDGER.name, 0): OffsetSpec.latest()}))
