"""What the stages that share the tables of webhooks agree on: ids, words, the payload's form, how long things are kept.

sinks/events stores events and deliveries, ingest_api/webhook_endpoints offers them, connectors/webhooks sends them.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec

from payments.identifiers import format_id

EVENT: Final = "evt"
ENDPOINT: Final = "whe"
DELIVERY: Final = "whd"
"""Kinds of ids."""

TEST_EVENT: Final = "webhook.test"
"""Type of the event that only its endpoint gets, on request."""

EVENTS_KEPT: Final = timedelta(days=30)
"""As long as payments.events; ten times as long as a delivery is tried."""

SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"
PREVIOUS_SECRET_VALID: Final = timedelta(hours=24)
"""From a rotation on; deliveries carry both signatures so long."""


class EndpointStatus(StrEnum):
    """Whether deliveries are made."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"


class DisabledReason(StrEnum):
    """Why an endpoint gets nothing."""

    BY_OWNER = "by_owner"
    FAILING = "failing"
    GONE = "gone"
    """It answered 410."""


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up: the dead letters."""
    WITHHELD = "withheld"
    """The endpoint's user may no longer see the accounts."""


class Payload(msgspec.Struct):
    """The body of a webhook, and an item of `GET /v1/events`."""

    id: str
    type: str
    timestamp: str
    object: str
    data: dict[str, Any]


def payload_of(event_id: bytes, type_: str, occurred_at: datetime, object_: str, data: dict[str, Any]) -> bytes:
    """The payload's bytes: made once, sent and shown as they are."""
    at = occurred_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return msgspec.json.encode(Payload(format_id(EVENT, event_id), type_, at, object_, data))
