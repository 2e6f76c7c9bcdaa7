"""What callers send and see of webhook endpoints and their deliveries."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from ingest_api.http.resources import rfc3339
from ingest_api.public_events.places import encode_place
from payments.identifiers import format_id
from schemas.tables.webhooks import DELIVERY, ENDPOINT, EVENT

URL_CHARS_MAX: Final = 2_048
DESCRIPTION_CHARS_MAX: Final = 200
TYPES_MAX: Final = 64

UrlText = Annotated[
    str,
    msgspec.Meta(
        description="https, a name or address of the public internet, no user or fragment",
        extra_json_schema={"maxLength": URL_CHARS_MAX, "examples": ["https://shop.example/hooks"]},
    ),
]
TypeTexts = Annotated[
    list[str],
    msgspec.Meta(
        description="Types of events, as docs/events.md has them; empty: all",
        extra_json_schema={"maxItems": TYPES_MAX, "examples": [["payment.posted", "payment.returned"]]},
    ),
]
DescriptionText = Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": DESCRIPTION_CHARS_MAX})]


class EndpointBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Where to send events. A user's endpoint gets those of the user's accounts, a service's those of all."""

    url: UrlText
    event_types: TypeTexts = []
    description: DescriptionText = ""


class EndpointChangeBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What may change; fields left out stay as they are. `enabled` begins anew, whatever failed before."""

    url: UrlText | None = None
    event_types: TypeTexts | None = None
    description: DescriptionText | None = None
    status: Literal["enabled", "disabled"] | None = None


class Endpoint(msgspec.Struct, omit_defaults=True, kw_only=True):
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


class EndpointList(msgspec.Struct):
    """The caller's endpoints, the latest first."""

    items: list[Endpoint]


class Attempt(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One try: what the endpoint answered, or why it could not be asked."""

    attempt: int
    at: str
    duration_ms: int
    http_status: int | None = None
    failure: str | None = None
    response: str


class Delivery(msgspec.Struct, omit_defaults=True, kw_only=True):
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
    tries: list[Attempt] | None = None


class DeliveryPage(msgspec.Struct):
    """Deliveries, the latest event first. `next_cursor` leads on where `has_more`."""

    items: list[Delivery]
    has_more: bool
    next_cursor: str | None


RESOURCES: Final[tuple[type, ...]] = (
    EndpointBody,
    EndpointChangeBody,
    Endpoint,
    EndpointList,
    Attempt,
    Delivery,
    DeliveryPage,
)


def shown(row: Mapping[str, Any], secret: str | None = None) -> Endpoint:
    """One endpoint; with its secret where it was just made."""
    return Endpoint(
        id=format_id(ENDPOINT, row["endpoint_id"].bytes),
        url=row["url"],
        event_types=row["event_types"],
        description=row["description"],
        status=row["status"],
        disabled_reason=row["disabled_reason"],
        failing_since=rfc3339(row["failing_since"]) if row["failing_since"] else None,
        created_at=rfc3339(row["created_at"]),
        secret=secret,
        previous_secret_until=rfc3339(row["previous_secret_until"]) if row["previous_secret_until"] else None,
    )


def shown_delivery(row: Mapping[str, Any], tries: list[dict[str, Any]] | None = None) -> Delivery:
    """One delivery; with its attempts where it is looked at alone."""
    return Delivery(
        id=format_id(DELIVERY, row["delivery_id"].bytes),
        event=format_id(EVENT, row["event_id"].bytes),
        type=row["type"],
        object=row["object"],
        status=row["status"],
        attempts=row["attempts"],
        queued_at=rfc3339(row["queued_at"]),
        next_attempt_at=rfc3339(row["next_attempt_at"]) if row["ended_at"] is None else None,
        ended_at=rfc3339(row["ended_at"]) if row["ended_at"] else None,
        tries=None if tries is None else [_attempt(each) for each in tries],
    )


def _attempt(row: Mapping[str, Any]) -> Attempt:
    return Attempt(
        attempt=row["attempt"],
        at=rfc3339(row["began_at"]),
        duration_ms=row["duration_ms"],
        http_status=row["http_status"],
        failure=row["failure"],
        response=row["response"],
    )


def shown_page(rows: list[dict[str, Any]], limit: int) -> DeliveryPage:
    """Up to `limit` of them; one more than that says that there are more."""
    more = len(rows) > limit
    after = encode_place(rows[limit - 1]["position"]) if more else None
    return DeliveryPage([shown_delivery(row) for row in rows[:limit]], more, after)
