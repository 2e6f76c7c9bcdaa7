"""Pay straight on Kafka: `python pay.py acc_PAYER acc_PAYEE AMOUNT_MINOR CURRENCY KEY [--bootstrap …] [--registry …]`.

Needs `pip install "confluent-kafka[avro]"`. KEY is the idempotency key: never use one again for another payment of the
payer. What becomes of the payment is told on payments.events.
"""

import argparse
from decimal import Decimal

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

TOPIC = "payments.commands"
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def id_bytes(text: str) -> bytes:
    """The sixteen bytes behind an id such as `acc_…` (TypeID: base32 of a UUID)."""
    number = 0
    for digit in text.partition("_")[2]:
        number = number * 32 + DIGITS.index(digit)
    return number.to_bytes(16, "big")


def main() -> None:
    """Returns when the brokers have the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("payer")
    parser.add_argument("payee")
    parser.add_argument("amount_minor", type=int)
    parser.add_argument("currency")
    parser.add_argument("key")
    parser.add_argument("--bootstrap", default="127.0.0.1:19092")
    parser.add_argument("--registry", default="http://127.0.0.1:8080")
    asked = parser.parse_args()
    registry = SchemaRegistryClient({"url": asked.registry})
    schema = registry.get_latest_version("millrace.Command").schema
    # By record, because a topic of commands carries many: the default strategy asks for one schema per topic.
    write = AvroSerializer(registry, schema, conf={"subject.name.strategy": record_subject_name_strategy})
    command = {
        "kind": "transfer",
        "payer": id_bytes(asked.payer),
        "payee": id_bytes(asked.payee),
        "amount_minor": Decimal(asked.amount_minor),
        "currency": asked.currency.encode(),
        "reply_to": bytes(8),
        "idempotency_key": asked.key,
        "description": "",
    }
    producer = Producer(
        {
            "bootstrap.servers": asked.bootstrap,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # as Java's: a command on another partition is set aside
        }
    )
    value = write(command, SerializationContext(TOPIC, MessageField.VALUE))
    producer.produce(TOPIC, value, key=command["payer"])
    if producer.flush(30):
        raise SystemExit("the brokers did not take it in time: send it again with the same key")


if __name__ == "__main__":
    main()
