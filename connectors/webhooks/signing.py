"""Signatures of Standard Webhooks 1.0 (standardwebhooks.com): HMAC-SHA256 over id, timestamp and body.

Two secrets are valid for a while after a rotation, and both sign.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable


def signature(secrets: Iterable[bytes], message_id: str, timestamp_s: int, body: bytes) -> str:
    """The header webhook-signature: one `v1,…` per secret, separated by spaces."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii") for secret in secrets
    )


def headers(secrets: Iterable[bytes], message_id: str, timestamp_s: int, body: bytes) -> list[tuple[bytes, bytes]]:
    """What a delivery carries."""
    named = {
        "content-type": "application/json",
        "user-agent": "Millrace-Webhooks/1.0",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature(secrets, message_id, timestamp_s, body),
    }
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in named.items()]
