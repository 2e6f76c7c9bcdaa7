"""API keys as callers send and see them."""

from typing import Annotated, Any, Final, Literal

import msgspec

from ingest_api.http.resources import rfc3339
from ingest_api.identity.machines.key import KEY, ApiKey
from payments.identifiers import format_id

NAME_CHARS_MAX: Final = 64
NETWORKS_MAX: Final = 16
OVERLAP_S_MAX: Final = 7 * 86_400

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
Days = Annotated[int, msgspec.Meta(ge=1, le=3_650)]
Jwk = Annotated[
    dict[str, Any], msgspec.Meta(description="The public key as a JWK: P-256 or Ed25519, for the algorithms that sign")
]
Networks = Annotated[
    list[str], msgspec.Meta(max_length=NETWORKS_MAX, description="Where calls may come from: 192.0.2.0/24; none = all")
]


class ApiKeyBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Make a key for a machine that speaks for the caller, with the caller's scopes or some of them."""

    name: Name
    scopes: Annotated[list[str], msgspec.Meta(min_length=1, max_length=64)]
    algorithm: Literal["bearer", "hmac-sha256", "ecdsa-p256-sha256", "ed25519"] = "bearer"
    public_key: Jwk | None = None
    expires_in_days: Days | None = None
    networks: Networks = []


class RollBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Take another key in the place of this one, which works for `overlap_s` seconds more."""

    overlap_s: Annotated[int, msgspec.Meta(ge=0, le=OVERLAP_S_MAX)] = 0
    public_key: Jwk | None = None


class ApiKeyResource(msgspec.Struct, omit_defaults=True):
    """A key. `secret`: in the answer that makes it, and never again. Without `prefix` calls are signed (RFC 9421) with
    the id as `keyid`.
    """

    id: str
    name: str
    algorithm: str
    scopes: list[str]
    status: str
    created_at: str
    prefix: str | None = None
    networks: list[str] | None = None
    expires_at: str | None = None
    last_used_at: str | None = None
    """Within a minute."""
    revoked_at: str | None = None
    rolled_to: str | None = None
    secret: str | None = None


class ApiKeyPage(msgspec.Struct):
    """Keys, the latest first. `next_cursor` leads on where `has_more`."""

    items: list[ApiKeyResource]
    has_more: bool
    next_cursor: str | None


RESOURCES: Final = (ApiKeyBody, RollBody, ApiKeyResource, ApiKeyPage)


def shown_key(key: ApiKey, *, is_valid: bool, secret: str | None = None) -> ApiKeyResource:
    """`secret`: where the key was made by this call."""
    times = (key.expires_at, key.last_used_at, key.revoked_at)
    expires_at, last_used_at, revoked_at = (rfc3339(at) if at is not None else None for at in times)
    return ApiKeyResource(
        id=format_id(KEY, key.key_id),
        name=key.name,
        algorithm=key.algorithm,
        scopes=sorted(key.scopes),
        status="active" if is_valid else "revoked" if revoked_at else "expired",
        created_at=rfc3339(key.created_at),
        prefix=key.prefix,
        networks=[str(network) for network in key.networks] or None,
        expires_at=expires_at,
        last_used_at=last_used_at,
        revoked_at=revoked_at,
        rolled_to=format_id(KEY, key.rolled_to) if key.rolled_to is not None else None,
        secret=secret,
    )
