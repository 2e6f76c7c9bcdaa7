"""Endpoints and events of users, as the API and the events sink make them."""

from collections.abc import Iterable

import psycopg

from payments.events.event import Event, EventType
from payments.identifiers import PAYMENT, format_id
from schemas.tables.webhooks import DELIVERY, ENDPOINT, EVENT
from sinks.events.loop import public_event
from sinks.events.storing import PublicEvent, store
from tests.ingest_api.owners.world import Caller, World

NOBODYS = {
    "endpoint_id": format_id(ENDPOINT, b"\x78" * 16),
    "delivery_id": format_id(DELIVERY, b"\x78" * 16),
    "event_id": format_id(EVENT, b"\x78" * 16),
}
URL = "https://shop.example/hooks"


OCCURRED_AT_US = 1_763_800_000_000_000


def posted(
    number: int, payer: str, payee: str, type_: EventType = EventType.PAYMENT_POSTED, at_us: int = OCCURRED_AT_US
) -> PublicEvent:
    """The event of this number."""
    payment = format_id(PAYMENT, number.to_bytes(16, "big"))
    return public_event(f"0-{number}-0-0", Event(type_, payment, at_us, payer, payee, 1_050, "EUR"))


def happen(world: World, events: Iterable[PublicEvent]) -> int:
    """Store them; how many deliveries were queued."""
    with psycopg.connect(world.services.settings.database_url) as connection:
        return store(connection, list(events))


async def hooks_of(world: World, caller: Caller, account: str, payee: str) -> dict[str, str]:
    """An endpoint of the caller's, an event of the account, and its delivery."""
    endpoint = (await caller("POST", "/v1/webhook-endpoints", {"url": URL})).json()["id"]
    event = posted(1, account, payee)
    happen(world, [event])
    (delivery,) = world.rows("SELECT delivery_id FROM webhook_deliveries")
    return {
        "endpoint_id": endpoint,
        "delivery_id": format_id(DELIVERY, delivery["delivery_id"].bytes),
        "event_id": format_id(EVENT, event.event_id),
    }
