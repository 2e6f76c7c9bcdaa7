"""Events to a webhook endpoint, signed as Stripe does (`t=…,v1=…`), again and again until it takes them.

Reads deliveries that are due from the store, where they survive a kill; writes what became of them. An event may arrive
twice, and later than one that happened after it.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import time
from typing import Final, NamedTuple

import httpx
from pydantic import SecretStr

from connectors.sandbox.store import Delivery, Store

log = logging.getLogger("millrace.sandbox")

ATTEMPTS_MAX: Final = 10
FIRST_DELAY_S: Final = 1.0
"""Doubled each time: 17 minutes in all. Stripe goes on for three days."""

_LOOK_S: Final = 0.1
_TIMEOUT_S: Final = 10.0


class Endpoint(NamedTuple):
    """Where events go, and the secret that proves where they come from."""

    url: str
    secret: SecretStr


def signature(payload: str, secret: str, at_s: int) -> str:
    """The `Stripe-Signature` header. Source: docs.stripe.com/webhooks, "Verify webhook signatures manually"."""
    digest = hmac.new(secret.encode(), f"{at_s}.{payload}".encode(), hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


async def deliver(store: Store, endpoint: Endpoint) -> None:
    """For ever."""
    async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
        while True:
            for delivery in store.due_deliveries(time.time()):
                await _deliver_one(store, endpoint, client, delivery)
            await asyncio.sleep(_LOOK_S)


async def _deliver_one(store: Store, endpoint: Endpoint, client: httpx.AsyncClient, delivery: Delivery) -> None:
    payload = json.dumps(store.find(delivery.event_id))
    signed = signature(payload, endpoint.secret.get_secret_value(), int(time.time()))
    headers = {"Stripe-Signature": signed, "Content-Type": "application/json"}
    if await _is_taken(client, endpoint.url, payload, headers):
        store.delivered(delivery.event_id)
    elif delivery.attempts + 1 >= ATTEMPTS_MAX:
        log.warning("%s given up after %d attempts", delivery.event_id, ATTEMPTS_MAX)
        store.delivered(delivery.event_id)
    else:
        store.postpone(delivery.event_id, time.time() + FIRST_DELAY_S * 2**delivery.attempts)


async def _is_taken(client: httpx.AsyncClient, url: str, payload: str, headers: dict[str, str]) -> bool:
    try:
        return (await client.post(url, content=payload, headers=headers)).is_success
    except httpx.HTTPError:
        return False
