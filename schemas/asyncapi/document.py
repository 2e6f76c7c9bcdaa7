"""The AsyncAPI document, derived from the topics, their schemas and the headers of events: nothing is said twice.

Source: AsyncAPI 3.0.0 and its Kafka bindings 0.5.0. Millrace is the application: it receives commands, it sends events.
"""

from typing import Any, Final

from schemas.events.headers import CONTENT_TYPE
from schemas.registry import RegisteredSchema, latest
from schemas.topics import CATALOGUE, EVENTS, Topic, configuration

_AVRO: Final = "application/vnd.apache.avro;version=1.9.0"
_BINDING: Final = "0.5.0"
_REPLICATED: Final = 3
_DESCRIPTION: Final = """Money moves by records on `payments.commands`; what became of it is told on `payments.events`.
Every value begins with Confluent's frame: a zero byte, and the id of its schema in four bytes (GET /schemas/ids/{id}).
Read with isolation.level=read_committed: what a transaction has not committed has not happened."""

_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {"description": "The same whenever the event is derived again: what a reader knows it by."},
    "ce_source": {"format": "uri-reference", "description": "This installation."},
    "ce_type": {"examples": ["payment.posted"]},
    "ce_subject": {"description": "What it happened to; the key of the record."},
    "ce_time": {"format": "date-time", "description": "When the input that was decided reached the brokers."},
    "content-type": {"const": CONTENT_TYPE},
}
"""CloudEvents 1.0 in Kafka's binary mode."""


def document(version: str) -> dict[str, Any]:
    """The whole document; `version` is that of the release."""
    public = [topic for topic in CATALOGUE if topic.public]
    records = [latest(record) for topic in public for record in topic.records]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Millrace", "version": version, "description": _DESCRIPTION},
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "brokers": {"host": "127.0.0.1:19092", "protocol": "kafka", "description": "As `make up` runs them"}
        },
        "channels": {topic.name: _channel(topic) for topic in public},
        "operations": {_operation_id(topic): _operation(topic) for topic in public},
        "components": {"messages": {schema.record: _message(schema) for schema in records}},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    settings = configuration(topic, _REPLICATED)
    kept = {"cleanup.policy": [settings["cleanup.policy"]], "retention.ms": int(settings["retention.ms"])}
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}. Written by {topic.writers}; read by {topic.readers}.",
        "messages": {record: {"$ref": f"#/components/messages/{record}"} for record in topic.records},
        "bindings": {"kafka": {"topic": topic.name, "topicConfiguration": kept, "bindingVersion": _BINDING}},
    }


def _operation_id(topic: Topic) -> str:
    return f"{_action(topic)}-{topic.name}"


def _operation(topic: Topic) -> dict[str, Any]:
    return {"action": _action(topic), "channel": {"$ref": f"#/channels/{topic.name}"}}


def _action(topic: Topic) -> str:
    return "send" if topic is EVENTS else "receive"


def _message(schema: RegisteredSchema) -> dict[str, Any]:
    key = {"type": "string"} if schema.record in EVENTS.records else {"type": "string", "contentEncoding": "binary"}
    described: dict[str, Any] = {
        "name": schema.record,
        "title": f"{schema.record}, version {schema.version}",
        "summary": schema.parsed["doc"],
        "contentType": CONTENT_TYPE,
        "payload": {"schemaFormat": _AVRO, "schema": schema.parsed},
        "bindings": {
            "kafka": {
                "key": key,
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "bindingVersion": _BINDING,
            }
        },
    }
    if schema.record in EVENTS.records:
        properties = {name: {"type": "string", **said} for name, said in _HEADERS.items()}
        described["headers"] = {"type": "object", "properties": properties, "required": [*_HEADERS]}
    return described
