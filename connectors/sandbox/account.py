"""The one Stripe account of the sandbox: its objects by id, its time, and the events that it tells."""

import secrets
import time
from collections.abc import Iterator

from connectors.sandbox.refusal import JsonObject, missing
from connectors.sandbox.store import Store

API_VERSION = "2026-10-28.endive"


class StripeAccount:
    """What every operation reads and changes, inside the store's transaction."""

    def __init__(self, store: Store, *, has_webhook: bool) -> None:
        self.store = store
        self.address = ""
        """Under which the caller of the request that is served knows the sandbox."""

        self.search_lag_s = 0
        """What is younger is not found by a search yet."""

        self._has_webhook = has_webhook

    @property
    def now_s(self) -> int:
        return int(time.time()) + int(self._clock()["advanced_s"])

    def advance(self, seconds: int) -> None:
        """Put the clock forward, for ever: keys expire, and searches catch up."""
        self.save(self._clock() | {"advanced_s": self._clock()["advanced_s"] + seconds})

    def _clock(self) -> JsonObject:
        return self.store.find("clock") or {"id": "clock", "object": "clock", "advanced_s": 0}

    def new(self, kind: str, prefix: str, **fields: object) -> JsonObject:
        """An object of this kind, not saved yet."""
        return {
            "id": f"{prefix}_{secrets.token_hex(12)}",
            "object": kind,
            "created": self.now_s,
            "livemode": False,
            **fields,
        }

    def save(self, body: JsonObject) -> JsonObject:
        self.store.put(body["object"], body)
        return body

    def get(self, kind: str, object_id: str) -> JsonObject:
        """Raises Refused where there is none of this kind."""
        found = self.store.find(object_id)
        if found is None or found["object"] != kind:
            raise missing(kind, object_id)
        return found

    def all(self, kind: str) -> Iterator[JsonObject]:
        """Newest first."""
        return self.store.newest_first(kind)

    def tell(self, event_type: str, body: JsonObject) -> None:
        """Record an event, and have it delivered where there is a webhook endpoint."""
        event = self.new(
            "event",
            "evt",
            api_version=API_VERSION,
            type=event_type,
            data={"object": body},
            pending_webhooks=int(self._has_webhook),
            request={"id": None, "idempotency_key": None},
        )
        self.save(event)
        if self._has_webhook:
            self.store.add_delivery(event["id"], time.time())
