"""Read what happened: `python consume_events.py --bootstrap HOST:PORT --registry URL [--group NAME] [--count N]`.

Needs `pip install "confluent-kafka[avro]"`. Prints one JSON object per event. Whoever keeps what it makes of an event
in the same transaction as the event's id (`ce_id`) does so exactly once, whatever crashes: docs/subscribing.md.
"""

import argparse
import json
import sys

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

TOPIC = "payments.events"


def main() -> None:
    """Until it is stopped, or has printed `--count` events."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", default="127.0.0.1:19092")
    parser.add_argument("--registry", default="http://127.0.0.1:8080")
    parser.add_argument("--group", default="subscriber.example")
    parser.add_argument("--count", type=int, default=0, help="0: for ever")
    asked = parser.parse_args()
    read = AvroDeserializer(SchemaRegistryClient({"url": asked.registry}))
    consumer = Consumer(
        {
            "bootstrap.servers": asked.bootstrap,
            "group.id": asked.group,
            "isolation.level": "read_committed",  # what a transaction has not committed has not happened
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([TOPIC])
    printed = 0
    try:
        while not asked.count or printed < asked.count:
            record = consumer.poll(1.0)
            if record is None:
                continue
            if record.error() is not None:
                raise KafkaException(record.error())
            event = read(record.value(), SerializationContext(TOPIC, MessageField.VALUE))
            sys.stdout.write(json.dumps(event, default=str) + "\n")
            sys.stdout.flush()
            printed += 1
            consumer.commit(record, asynchronous=False)  # after it is dealt with, never before
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
