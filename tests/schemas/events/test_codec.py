"""The hand-made codec of public events against fastavro, and what a reader of the schema alone sees."""

from datetime import UTC, datetime
from typing import get_type_hints

from hypothesis import given
from hypothesis import strategies as st

from payments.events.event import Event, EventType
from schemas.codec import reference
from schemas.events.codec import EventId, decode_event, encode_event
from schemas.registry import latest

texts = st.none() | st.text(max_size=40)
amounts = st.none() | st.integers(-(2**63), 2**63 - 1)
times_us = st.integers(0, 4_102_444_800_000_000)
events = st.builds(
    Event,
    st.sampled_from(EventType),
    st.text(max_size=40),
    times_us,
    *(texts, texts, amounts, texts, texts, texts, texts, amounts, texts),
)
event_ids = st.builds(EventId, *[st.integers(0, 2**40)] * 4)


@given(event_ids, events)
def test_event_equals_fastavro_both_ways(event_id: EventId, event: Event) -> None:
    value = encode_event(event_id, event)
    fields = event._asdict() | {"id": str(event_id), "type": event.type.value}
    at_us = fields.pop("occurred_at_us")
    assert value == reference.encode("Event", fields | {"occurred_at": at_us})
    seconds, micros = divmod(at_us, 1_000_000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
    assert reference.decode(value) == ("Event", fields | {"occurred_at": at})
    assert decode_event(value) == (str(event_id), event)


def test_the_schema_has_the_fields_of_the_event() -> None:
    names = [field["name"] for field in latest("Event").parsed["fields"]]
    assert names == ["id", *(name.replace("_us", "") for name in get_type_hints(Event))]


def test_only_what_every_event_has_must_be_there() -> None:
    """So that a later version may leave any of the others out."""
    needed = {field["name"] for field in latest("Event").parsed["fields"] if "default" not in field}
    assert needed == {"id", "type", "subject", "occurred_at"}
