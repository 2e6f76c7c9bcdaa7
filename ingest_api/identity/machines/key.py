"""What an API key is: the row, the text that a caller sends, and what a signed call is checked with."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final, NamedTuple

KEY: Final = "key"
"""Kind prefix of keys' ids."""

_TEXT: Final = re.compile(r"(mk_[0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_HMAC_PURPOSE: Final = b"millrace api key hmac-sha256\0"

Network = IPv4Network | IPv6Network


class Algorithm(StrEnum):
    """How a call shows that it has the key. The signing ones are named as RFC 9421 §6.2 names them."""

    BEARER = "bearer"
    HMAC = "hmac-sha256"
    ECDSA = "ecdsa-p256-sha256"
    ED25519 = "ed25519"


class ApiKey(NamedTuple):
    """A row of api_keys."""

    key_id: bytes
    name: str
    subject: str
    scopes: frozenset[str]
    algorithm: Algorithm
    prefix: str | None
    secret_hash: bytes | None
    public_key: bytes | None
    networks: tuple[Network, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    rolled_to: bytes | None

    def is_valid(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def is_allowed_from(self, address: str | None) -> bool:
        """True where the key names no networks, or one of them has the caller's address."""
        if not self.networks:
            return True
        try:
            return address is not None and any(ip_address(address) in network for network in self.networks)
        except ValueError:
            return False

    def is_secret(self, text: str) -> bool:
        """In the time that it takes for a wrong one."""
        return hmac.compare_digest(hash_of(text), self.secret_hash or bytes(32))


def key_of_row(row: Mapping[str, Any]) -> ApiKey:
    """The value of a row."""
    rolled_to = row["rolled_to"].bytes if row["rolled_to"] is not None else None
    changed = {
        "key_id": row["key_id"].bytes,
        "scopes": frozenset(row["scopes"]),
        "algorithm": Algorithm(row["algorithm"]),
        "networks": tuple(row["networks"]),
        "rolled_to": rolled_to,
    }
    return ApiKey(**{name: row[name] for name in ApiKey._fields} | changed)


def new_text() -> str:
    """A key as a caller sends it: 48 bits to find it by, 256 that prove it."""
    return f"mk_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def prefix_of(text: str) -> str | None:
    """What a key is found by, or None for a text that is no key."""
    matched = _TEXT.fullmatch(text)
    return matched[1] if matched is not None else None


def hash_of(text: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(text.encode("latin-1", "replace")).digest()


def hmac_secret(index_key: bytes, key_id: bytes) -> bytes:
    """The secret of an hmac-sha256 key, derived from the keyring's index key, which every machine has and none changes:
    nothing that signs is in Postgres.
    """
    return hmac.digest(index_key, _HMAC_PURPOSE + key_id, "sha256")
