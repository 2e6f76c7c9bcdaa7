"""Goal: clients of Confluent's registry work with ours, and nobody changes a schema through it.

Method: real HTTP, Confluent's own client, serialiser and deserialiser.
"""

import json
from typing import Any

import httpx
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.schema_registry_client import Schema
from confluent_kafka.serialization import MessageField, SerializationContext

from payments.commands import NO_REPLY, Command, CommandKind
from payments.events.event import Event, EventType
from schemas.asyncapi.document import document
from schemas.codec import reference
from schemas.codec.commands import encode_command
from schemas.events.codec import EventId, encode_event
from schemas.registry import latest, registered
from schemas.topics import CATALOGUE, COMMANDS, EVENTS

EVENT = Event(EventType.PAYMENT_POSTED, "pay_1", 1_790_000_000_123_456, "acc_1", "acc_2", 1_050, "EUR")
NEW_FIELD: dict[str, Any] = {"name": "colour", "type": "string"}


@pytest.fixture
def client(registry_url: str) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": registry_url})


def changed(record: str, **changes: Any) -> Schema:
    return Schema(json.dumps(latest(record).parsed | changes), "AVRO")


def with_field(record: str, **more: Any) -> Schema:
    return changed(record, fields=[*latest(record).parsed["fields"], NEW_FIELD | more])


def test_confluents_deserialiser_reads_an_event(client: SchemaRegistryClient) -> None:
    read = AvroDeserializer(client)
    found = read(encode_event(EventId(2, 7, 0, 0), EVENT), SerializationContext(EVENTS.name, MessageField.VALUE))
    assert found is not None
    assert (found["id"], found["type"], found["amount_minor"]) == ("2-7-0-0", "payment.posted", 1_050)


def test_confluents_serialiser_writes_a_command_that_we_read(client: SchemaRegistryClient) -> None:
    """With its defaults: it asks for the schema to be registered, and is told the id that is there."""
    command = Command(CommandKind.DEPOSIT, b"P" * 16, b"Q" * 16, 1_050, "EUR", NO_REPLY, "key", "wages")
    _, fields = reference.decode(encode_command(command))
    write = AvroSerializer(client, latest("Command").text, conf={"subject.name.strategy": record_subject_name_strategy})
    assert write(fields, SerializationContext(COMMANDS.name, MessageField.VALUE)) == encode_command(command)


def test_every_schema_is_found_by_its_id_and_under_its_names(client: SchemaRegistryClient) -> None:
    for schema in registered():
        assert json.loads(client.get_schema(schema.schema_id).schema_str or "") == schema.parsed
        found = client.get_version(f"millrace.{schema.record}", schema.version)
        assert (found.schema_id, found.version) == (schema.schema_id, schema.version)


def test_every_topic_has_its_subjects(client: SchemaRegistryClient) -> None:
    named = set(client.get_subjects())
    for topic in CATALOGUE:
        assert {f"{topic.name}-millrace.{record}" for record in topic.records} <= named
        assert (f"{topic.name}-value" in named) == (len(topic.records) == 1)
    assert client.get_latest_version(f"{EVENTS.name}-value").schema_id == latest("Event").schema_id


def test_a_schema_is_looked_up_by_what_it_says(client: SchemaRegistryClient) -> None:
    undocumented = {name: value for name, value in latest("Event").parsed.items() if name != "doc"}
    found = client.lookup_schema("millrace.Event", Schema(json.dumps(undocumented), "AVRO"))
    assert found.schema_id == latest("Event").schema_id
    refused(40403, lambda: client.lookup_schema("millrace.Event", with_field("Event")))


def refused(code: int, call: Any) -> None:
    with pytest.raises(SchemaRegistryError) as error:
        call()
    assert error.value.error_code == code


def test_nobody_registers_a_schema(client: SchemaRegistryClient) -> None:
    refused(42205, lambda: client.register_schema("millrace.Event", with_field("Event", default="")))
    refused(42205, lambda: client.register_schema("somebody.else", changed("Event", name="Else")))
    assert client.get_versions("millrace.Event") == [latest("Event").version]


def test_errors_are_those_that_clients_know(client: SchemaRegistryClient) -> None:
    refused(40401, lambda: client.get_versions("nobody"))
    refused(40401, lambda: client.lookup_schema("nobody", changed("Event")))
    refused(40402, lambda: client.get_version("millrace.Event", 99))
    refused(40403, lambda: client.get_schema(9_999))
    refused(42201, lambda: client.lookup_schema("millrace.Event", Schema("{}", "AVRO")))


@pytest.mark.parametrize("version", ["0", "x", "-2", "9" * 400, "²"])
def test_a_version_that_is_none_is_refused(http: httpx.Client, version: str) -> None:
    answer = http.get(f"/subjects/millrace.Event/versions/{version}")
    assert (answer.status_code, answer.json()["error_code"]) == (422, 42202)


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b'{"schema": 7}', b'{"schema": "[" }', b"[" * 10_000])
def test_a_body_that_is_none_is_refused(http: httpx.Client, body: bytes) -> None:
    for path in ("/subjects/millrace.Event", "/compatibility/subjects/millrace.Event/versions/latest"):
        answer = http.post(path, content=body)
        assert (answer.status_code, answer.json()["error_code"]) == (422, 42201)


@pytest.mark.parametrize(
    ("schema", "is_compatible"),
    [(with_field("Event", default=""), True), (with_field("Event"), False), (changed("Event"), True)],
    ids=["with a default", "without", "as it is"],
)
def test_what_a_next_version_may_be(client: SchemaRegistryClient, schema: Schema, is_compatible: bool) -> None:
    assert client.test_compatibility("millrace.Event", schema) is is_compatible


def test_its_rules_are_those_of_the_release(http: httpx.Client) -> None:
    assert http.get("/config").json() == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert http.get("/config/millrace.LedgerRecord").json() == {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
    assert http.get("/mode").json() == {"mode": "READONLY"}


def test_the_asyncapi_document_is_served(http: httpx.Client) -> None:
    served = http.get("/asyncapi.json").json()
    assert served == document(served["info"]["version"])


def test_answers_have_the_media_type_of_the_registry(http: httpx.Client) -> None:
    for path in (
        "/subjects",
        "/schemas/ids/1",
        "/schemas/types",
        "/mode",
        "/schemas/ids/1/versions",
        "/subjects/x/versions",
    ):
        assert http.get(path).headers["content-type"] == "application/vnd.schemaregistry.v1+json"
