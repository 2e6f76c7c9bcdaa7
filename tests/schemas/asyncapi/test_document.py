"""Goal: generators and viewers of AsyncAPI take the document, and it says what the topics and schemas say."""

import hashlib
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from payments.events.event import Event, EventType
from schemas.asyncapi.__main__ import PAGE, page
from schemas.asyncapi.document import document
from schemas.events.codec import EventId
from schemas.events.headers import headers_of
from schemas.registry import latest
from schemas.topics import COMMANDS, EVENTS

OFFICIAL = Path(__file__).parent / "asyncapi-3.0.0.json"
OFFICIAL_SHA256 = "f0a84ae94acceb9f91da8624a8def0e080055953166ce212dd8f4b3ed9b13f06"


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    text = OFFICIAL.read_bytes()
    assert hashlib.sha256(text).hexdigest() == OFFICIAL_SHA256
    return Draft7Validator(json.loads(text))


@pytest.fixture
def described() -> dict[str, Any]:
    return deepcopy(document("1.0.0"))


def test_it_is_what_asyncapi_says_a_document_is(validator: Draft7Validator, described: dict[str, Any]) -> None:
    assert [error.message for error in validator.iter_errors(described)] == []


def test_the_validator_notices_what_is_none(validator: Draft7Validator, described: dict[str, Any]) -> None:
    described["operations"]["send-payments.events"]["action"] = "publish"
    described["components"]["messages"]["Event"]["payload"]["schema"]["type"] = "no such type"
    assert not validator.is_valid(described)


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    found = [line for line in json.dumps(described, indent=0).splitlines() if '"$ref"' in line]
    for line in found:
        at: Any = described
        for step in line.split('"')[3].removeprefix("#/").split("/"):
            at = at[step]
    assert len(found) == len(COMMANDS.records) + len(EVENTS.records) + 2


def test_millrace_receives_commands_and_sends_events(described: dict[str, Any]) -> None:
    assert {name: one["action"] for name, one in described["operations"].items()} == {
        f"receive-{COMMANDS.name}": "receive",
        f"send-{EVENTS.name}": "send",
    }


def test_a_payload_is_the_newest_schema(described: dict[str, Any]) -> None:
    for record, message in described["components"]["messages"].items():
        assert message["payload"]["schema"] == latest(record).parsed


def test_the_headers_are_those_that_are_written(described: dict[str, Any]) -> None:
    written = headers_of(EventId(0, 0, 0, 0), Event(EventType.PAYMENT_POSTED, "pay_1", 0), "urn:millrace")
    headers = described["components"]["messages"]["Event"]["headers"]
    assert set(headers["properties"]) == {name for name, _ in written} == set(headers["required"])
    for name, value in written:
        assert headers["properties"][name].get("const", value.decode()) == value.decode()


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page()
