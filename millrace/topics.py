"""Makes the topics of the catalogue, and refuses an installation whose topics do not fit it."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from payments.errors import InvariantViolation
from runtime.kafka_client import Brokers
from runtime.settings import Settings
from schemas.topics import CATALOGUE, configuration, partitions

_TIMEOUT_S = 30


def ensure_topics(settings: Settings) -> list[str]:
    """Create what is missing; returns the names made.

    Raises InvariantViolation where a topic exists with another partition count: the shard count is fixed when the
    topics are made, because an account's partition follows from it.
    """
    admin = AdminClient(Brokers.of(settings).configuration())
    existing = admin.list_topics(timeout=_TIMEOUT_S).topics
    for topic in CATALOGUE:
        wanted = partitions(topic, settings.shards)
        if topic.name in existing and len(existing[topic.name].partitions) != wanted:
            found = len(existing[topic.name].partitions)
            raise InvariantViolation(
                f"topic {topic.name} has {found} partitions, settings ask for {wanted}:"
                f" set MILLRACE_SHARDS to what the topics were made with, or replay into a new generation of topics"
            )
    missing = [topic for topic in CATALOGUE if topic.name not in existing]
    futures = (
        admin.create_topics(
            [
                NewTopic(
                    topic.name,
                    partitions(topic, settings.shards),
                    settings.replication_factor,
                    config=configuration(topic, settings.replication_factor),
                )
                for topic in missing
            ],
            operation_timeout=_TIMEOUT_S,
        )
        if missing
        else {}
    )
    for future in futures.values():
        _await_created(future)
    return [topic.name for topic in missing]


def _await_created(future: object) -> None:
    try:
        future.result(_TIMEOUT_S)  # type: ignore[attr-defined]
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process was quicker
            raise
