"""CloudEvents 1.0 in Kafka's binary mode: the attributes of an event as headers, its record as the value.

Source: CloudEvents specification 1.0.2 and its Kafka protocol binding, §3.2. No traceparent: the ledger, from which
events are derived, does not carry the trace of the call that began a payment, and an invented one would mislead.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from payments.events.event import Event
from schemas.events.codec import EventId

CONTENT_TYPE: Final = "application/vnd.confluent.avro"
"""Avro behind Confluent's frame. Plain application/avro would promise a value that begins with the record itself."""

_ALWAYS: Final = (("ce_specversion", b"1.0"), ("content-type", CONTENT_TYPE.encode()))

Headers = list[tuple[str, bytes]]


def headers_of(event_id: EventId, event: Event, source: str) -> Headers:
    """`source` names the installation: with it the id is known all over the world."""
    return [
        *_ALWAYS,
        ("ce_id", b"%d-%d-%d-%d" % event_id),
        ("ce_source", source.encode()),
        ("ce_type", event.type.value.encode()),
        ("ce_subject", event.subject.encode()),
        ("ce_time", time_text(event.occurred_at_us).encode()),
    ]


def time_text(at_us: int) -> str:
    """RFC 3339, as in `2026-01-31T12:00:00.000000Z`."""
    seconds, micros = divmod(at_us, 1_000_000)
    return f"{_second(seconds)}.{micros:06d}Z"


@lru_cache(maxsize=1_024)  # the records of a batch are of the same seconds
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
