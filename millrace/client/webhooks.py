"""Is a webhook what Millrace has sent? Standard Webhooks 1.0: one signature for each secret that is valid.

During a rotation a delivery carries two signatures, and a receiver may hold both secrets: one that fits is enough.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from connectors.webhooks.signing import signature
from millrace.client.faults import SignatureMismatch
from millrace.client.models.told import Event
from schemas.tables.webhooks import SECRET_PREFIX

TOLERANCE_S: Final = 300
"""How old, or how far in the future, a delivery may be: what was recorded can't be played back later."""


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Iterable[str],
    *,
    tolerance_s: int = TOLERANCE_S,
    now_s: float | None = None,
) -> Event:
    """The event of a delivery: `body` as it came, byte for byte, and the headers, in any case. `secrets`: `whsec_…`,
    several while they are being rotated. Raises SignatureMismatch; ValueError for a secret that is none.

    Deliveries may come twice: remember `event.id`.
    """
    named = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, sent = named["webhook-id"], named["webhook-signature"]
        timestamp_s = int(named["webhook-timestamp"])
    except (KeyError, ValueError):
        raise SignatureMismatch("webhook-id, webhook-timestamp and webhook-signature are needed") from None
    now = time.time() if now_s is None else now_s
    if abs(now - timestamp_s) > tolerance_s:
        raise SignatureMismatch(f"sent {now - timestamp_s:.0f} s ago; taken within {tolerance_s} s")
    kept = [_secret(text) for text in ([secrets] if isinstance(secrets, str) else secrets)]
    wanted = signature(kept, message_id, timestamp_s, body).split()
    if not any(_equal(one, other) for one in sent.split() for other in wanted):
        raise SignatureMismatch("no signature fits: another secret, or the body was changed on its way")
    try:
        return msgspec.json.decode(body, type=Event)
    except msgspec.DecodeError as error:
        raise SignatureMismatch(f"signed, but no event: {error}") from error


def _secret(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a webhook secret is whsec_ and base64") from None


def _equal(one: str, other: str) -> bool:
    """In the time that it takes for a wrong one."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
