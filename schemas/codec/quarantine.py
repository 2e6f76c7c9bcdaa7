"""QuarantinedRecord: what could not be decided, cut to what a broker takes.

A record of the largest size that a broker accepts (1 MB by default, more where its operator allows it) would not fit
with an envelope around it, and a stage that can't set it aside would stop at it for ever.
"""

import hashlib

from schemas.codec import reference

KEPT_VALUE_BYTES = 786_432
"""768 KiB: with the key twice and the other fields below the 900,000 bytes that a stage may write at once."""

KEPT_KEY_BYTES = 1_024
"""A key of the contract is an account of 16 bytes."""


def kept_value(value: bytes) -> bytes:
    """As much of a record's value as lies in quarantine: all of it, up to KEPT_VALUE_BYTES."""
    return value[:KEPT_VALUE_BYTES]


def kept_key(key: bytes | None) -> bytes | None:
    """As much of a record's key as lies in quarantine."""
    return None if key is None else key[:KEPT_KEY_BYTES]


def encode_quarantined(fields: dict[str, object], value: bytes, key: bytes | None) -> bytes:
    """A whole record value. Where something was cut, `detail` says so, with the digest of the whole."""
    detail = str(fields["detail"])
    if len(value) > KEPT_VALUE_BYTES:
        digest = hashlib.sha256(value).hexdigest()
        detail += f"; the first {KEPT_VALUE_BYTES} of {len(value)} bytes, SHA-256 of all {digest}"
    if key is not None and len(key) > KEPT_KEY_BYTES:
        detail += f"; the first {KEPT_KEY_BYTES} of {len(key)} bytes of the key"
    kept = {"detail": detail, "value": kept_value(value), "key": kept_key(key)}
    return reference.encode("QuarantinedRecord", {**fields, **kept})
