"""What callers see of events: what webhooks carry."""

import msgspec

from schemas.tables.webhooks import Payload


class EventPage(msgspec.Struct):
    """Events, each as its webhook's body. `next_cursor` leads on; oldest first it does so where nothing follows yet."""

    items: list[Payload]
    has_more: bool
    next_cursor: str | None


RESOURCES: tuple[type, ...] = (Payload, EventPage)
