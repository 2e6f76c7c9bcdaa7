"""Requests for tests: every one of an operation of its own, unless told otherwise."""

import secrets
import time
from typing import Any

from schemas.codec.connectors import ConnectorOperation, ConnectorRequest

HOUR_US = 3_600_000_000


def now_us() -> int:
    return time.time_ns() // 1_000


def request_of(operation: ConnectorOperation, **fields: Any) -> ConnectorRequest:
    """10.99 USD on a card that works."""
    request_id = secrets.token_bytes(16)
    order = f"order-{request_id.hex()}"
    made = ConnectorRequest(request_id, "stripe", operation, order, 1_099, "USD", order, "pm_card_visa")
    return made._replace(**fields)


def charge(**fields: Any) -> ConnectorRequest:
    return request_of(ConnectorOperation.CHARGE, **fields)


def authorisation(**fields: Any) -> ConnectorRequest:
    return request_of(ConnectorOperation.AUTHORISE, **fields)


def about(operation: ConnectorOperation, reference: str, **fields: Any) -> ConnectorRequest:
    """A capture, void, refund or inquiry of what a reference names."""
    return request_of(operation, provider_reference=reference, token="", **fields)
