"""Public events, their webhooks, and what users are told."""

from typing import Any

import msgspec

from millrace.client.models.model import Model


class Event(Model, kw_only=True):
    """The body of a webhook, and an item of `GET /v1/events`."""

    id: str
    type: str
    timestamp: str
    object: str
    data: dict[str, Any]


class Endpoint(Model, kw_only=True):
    """An endpoint. `secret` is told once: when it is made, here or by a rotation."""

    id: str
    url: str
    event_types: list[str]
    description: str
    status: str
    disabled_reason: str | None = None
    failing_since: str | None = None
    created_at: str
    secret: str | None = None
    previous_secret_until: str | None = None


class EndpointList(Model, kw_only=True):
    """The caller's endpoints, the latest first."""

    items: list[Endpoint]


class DeliveryAttempt(Model, kw_only=True):
    """One try: what the endpoint answered, or why it could not be asked."""

    attempt: int
    at: str
    duration_ms: int
    http_status: int | None = None
    failure: str | None = None
    response: str


class Delivery(Model, kw_only=True):
    """One event for one endpoint. `failed` ones may be sent again; `next_attempt_at` only where one follows."""

    id: str
    event: str
    type: str
    object: str
    status: str
    attempts: int
    queued_at: str
    next_attempt_at: str | None = None
    ended_at: str | None = None
    tries: list[DeliveryAttempt] | None = None


class QuietHours(Model, kw_only=True):
    """Nothing is sent from one time to the other; security notices are."""

    from_: str = msgspec.field(name="from")
    until: str


class Preferences(Model, kw_only=True):
    """What is in force: for each kind when each channel tells of it. `always` come by e-mail at once."""

    language: str
    zone: str
    quiet_hours: QuietHours | None = None
    summary_at: str
    notices: dict[str, dict[str, str]]
    always: list[str]


class Device(Model, kw_only=True):
    """A device that push goes to. Its token is never shown."""

    id: str
    since: str


class DeviceList(Model, kw_only=True):
    """The caller's devices, the first first."""

    items: list[Device]


class Notice(Model, kw_only=True):
    """One thing that a user was told, or is to be told, on one channel."""

    id: str
    user: str
    kind: str
    channel: str
    status: str
    about: str
    happened_at: str
    attempts: int
    failure: str | None = None
    due_at: str | None = None
    ended_at: str | None = None
